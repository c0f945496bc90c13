import { join, resolve } from "node:path";
import { runBuildStep, testClient } from "./support/test-client.ts";

const SOURCE = join(import.meta.dirname, "rust");

/** Cargo builds what has changed, into the folder that .cargo/config.toml names. */
async function buildProgram(): Promise<readonly string[]> {
  await runBuildStep(["cargo", "build", "--locked", "--quiet"], { cwd: SOURCE });
  return [resolve("dist/clients/rust/debug/client-checks")];
}

testClient("tonic", {
  tools: ["cargo"],
  timeoutMs: 120_000,
  build: buildProgram,
});
