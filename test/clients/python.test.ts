import { existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { CHECKS } from "./support/client-program.ts";
import { checkDocumentProgram, documentProgram } from "./support/document-program.ts";
import { runBuildStep, skipWithout, testClient } from "./support/test-client.ts";

const SOURCE = join(import.meta.dirname, "python");
const REQUIREMENTS = join(SOURCE, "requirements.txt");
const BUILT = resolve("dist/clients/python");
const ENVIRONMENT = join(BUILT, "venv");
const PYTHON = join(ENVIRONMENT, "bin/python");
const GENERATED = join(BUILT, "gen");

/** Makes the virtual environment, unless there is one with the same requirements. */
async function install(): Promise<void> {
  const stamp = join(ENVIRONMENT, "requirements.txt");
  const wanted = readFileSync(REQUIREMENTS, "utf8");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return;
  rmSync(ENVIRONMENT, { recursive: true, force: true });
  await runBuildStep(["python3", "-m", "venv", ENVIRONMENT]);
  await runBuildStep([PYTHON, "-m", "pip", "install", "--quiet", "-r", REQUIREMENTS]);
  writeFileSync(stamp, wanted);
}

async function generate(): Promise<void> {
  rmSync(GENERATED, { recursive: true, force: true });
  mkdirSync(GENERATED, { recursive: true });
  const out = ["--python_out", "--pyi_out", "--grpc_python_out"].map(
    (flag) => `${flag}=${GENERATED}`,
  );
  const files = globSync("proto/**/*.proto");
  await runBuildStep([PYTHON, "-m", "grpc_tools.protoc", "-Iproto", ...out, ...files]);
}

/** Where Python finds the generated code, and keeps what it compiles. */
const ENV = { PYTHONPATH: GENERATED, PYTHONPYCACHEPREFIX: join(BUILT, "cache") };

testClient("grpcio", {
  tools: ["python3"],
  checks: [...CHECKS, "catch-up"],
  env: ENV,
  timeoutMs: 120_000,
  build: async () => {
    await install();
    await generate();
    return [PYTHON, join(SOURCE, "main.py")];
  },
});

test("the Python program of the documentation works", {
  skip: skipWithout(["python3"]),
}, async () => {
  await install();
  await generate();
  await checkDocumentProgram(async (address) => {
    const program = join(BUILT, "document.py");
    writeFileSync(program, documentProgram("python", address));
    return [PYTHON, program];
  }, ENV);
});
