import { mkdirSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { CHECKS } from "./support/client-program.ts";
import { checkDocumentProgram, documentProgram } from "./support/document-program.ts";
import { testClient } from "./support/test-client.ts";
import { WAYS } from "./typescript/transports.ts";

// Goal: the clients that JavaScript programs use, against the executable. They run
// from the sources and the generated code of this repository, on this runtime.

for (const [name, way] of Object.entries(WAYS)) {
  const command = [process.execPath, "test/clients/typescript/program.ts", name];
  testClient(`TypeScript: ${name}`, {
    tools: [],
    build: async () => command,
    checks: CHECKS.filter((check) => check !== "produce-stream" || way.canStreamBothWays),
    timeoutMs: 120_000,
  });
}

test("the TypeScript program of the documentation works", async () => {
  await checkDocumentProgram(async (address) => {
    const program = "dist/clients/typescript/document.ts";
    const source = documentProgram("ts", address).replaceAll('"./gen/', '"../../../src/gen/');
    mkdirSync("dist/clients/typescript", { recursive: true });
    writeFileSync(program, source);
    return [process.execPath, program];
  });
});
