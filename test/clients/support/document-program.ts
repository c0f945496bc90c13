import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { makeFolder, removeFolder, ServerProcess } from "../../e2e/server-process.ts";

const DOCUMENT = "docs/clients.md";
const ADDRESS_THERE = "127.0.0.1:8400";
const WAIT_MS_MAX = 60_000;

/** @returns the first program in the document in a language that calls one server, as if that were at `address`. */
export function documentProgram(language: string, address: string): string {
  const block = new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, "gms");
  const programs = [...readFileSync(DOCUMENT, "utf8").matchAll(block)].map(([, body = ""]) => body);
  const program = programs.find((body) => body.includes(ADDRESS_THERE));
  assert.ok(program !== undefined, `no program in ${language} in ${DOCUMENT}`);
  return program.replaceAll(ADDRESS_THERE, address);
}

/**
 * Runs a program of the document, which produces `hello`, reads it, and tails.
 * @param build makes it for a server at an address. @returns its command.
 * @throws unless it prints what it produced and then a record that others produce.
 */
export async function checkDocumentProgram(
  build: (address: string) => Promise<readonly string[]>,
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  const dir = makeFolder("document");
  const server = await ServerProcess.start(dir);
  try {
    const [command = "", ...args] = await build(server.address);
    const child = spawn(command, args, {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...env },
      timeout: WAIT_MS_MAX,
      killSignal: "SIGKILL",
    });
    let output = "";
    let errors = "";
    child.stderr.on("data", (chunk: Buffer) => {
      errors += chunk.toString();
    });
    try {
      for await (const chunk of child.stdout) {
        output += String(chunk);
        if (output === "0 hello\n") {
          const records = [{ value: Buffer.from("from elsewhere") }];
          await server.clients().log.produce({ topic: "default", records });
        }
        if (output === "0 hello\n1 from elsewhere\n") return;
      }
      assert.fail(`it printed: ${output}${errors}`);
    } finally {
      child.kill("SIGKILL");
    }
  } finally {
    await server.kill();
    removeFolder(dir);
  }
}
