import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { CHECKS } from "./support/client-program.ts";
import { checkDocumentProgram, documentProgram } from "./support/document-program.ts";
import { runBuildStep, skipWithout, testClient } from "./support/test-client.ts";

const SOURCE = join(import.meta.dirname, "go");
const PROGRAMS = resolve("dist/clients/go");

let built: Promise<void> | undefined;

/** Builds all programs of the module once. Go's own caches make it fast the next time. */
function build(): Promise<void> {
  built ??= buildAll();
  return built;
}

async function buildAll(): Promise<void> {
  mkdirSync(PROGRAMS, { recursive: true });
  await runBuildStep([resolve("node_modules/.bin/buf"), "generate"], { cwd: SOURCE });
  await runBuildStep(["go", "vet", "./..."], { cwd: SOURCE });
  await runBuildStep(["go", "build", "-o", PROGRAMS, "./grpc", "./connect"], { cwd: SOURCE });
}

function testGo(
  title: string,
  [program = "", ...flags]: readonly string[],
  checks: readonly string[] = CHECKS,
): void {
  testClient(title, {
    tools: ["go"],
    checks,
    timeoutMs: 120_000,
    build: async () => {
      await build();
      return [join(PROGRAMS, program), ...flags];
    },
  });
}

const WITHOUT_BIDI = CHECKS.filter((name) => name !== "produce-stream");

testGo("grpc-go", ["grpc"], [...CHECKS, "catch-up"]);
testGo("connect-go, Connect over h2c", ["connect"]);
testGo("connect-go, gRPC over h2c", ["connect", "-protocol=grpc"]);
testGo("connect-go, gRPC-Web over h2c", ["connect", "-protocol=grpcweb"]);
testGo("connect-go, Connect over HTTP/1.1", ["connect", "-http1"], WITHOUT_BIDI);
testGo(
  "connect-go, gRPC-Web over HTTP/1.1",
  ["connect", "-http1", "-protocol=grpcweb"],
  WITHOUT_BIDI,
);

test("the Go program of the documentation works", { skip: skipWithout(["go"]) }, async () => {
  await build();
  await checkDocumentProgram(async (address) => {
    const source = join(PROGRAMS, "document.go");
    const program = join(PROGRAMS, "document");
    writeFileSync(source, documentProgram("go", address));
    await runBuildStep(["go", "build", "-o", program, source], { cwd: SOURCE });
    return [program];
  });
});
