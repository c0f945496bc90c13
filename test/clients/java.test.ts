import { delimiter, join, resolve } from "node:path";
import { runBuildStep, testClient } from "./support/test-client.ts";

const SOURCE = join(import.meta.dirname, "java");
// Where pom.xml puts what it builds.
const BUILT = resolve("dist/clients/java");

/** Maven's plugins see what has changed: a second build takes seconds. */
async function buildProgram(): Promise<readonly string[]> {
  await runBuildStep(["mvn", "--batch-mode", "--quiet", "compile"], { cwd: SOURCE });
  const path = [join(BUILT, "classes"), join(BUILT, "lib", "*")].join(delimiter);
  // It runs for seconds: the quick compiler is enough.
  return ["java", "-XX:TieredStopAtLevel=1", "-cp", path, "proglog.checks.Main"];
}

testClient("grpc-java", {
  tools: ["java", "mvn"],
  timeoutMs: 120_000,
  build: buildProgram,
});
