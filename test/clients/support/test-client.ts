import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { test } from "node:test";
import { runCommand } from "../../e2e/server-process.ts";
import {
  CHECKS,
  type CheckResult,
  type ClientProgramOptions,
  runClientProgram,
} from "./client-program.ts";

/** One client program as a test. */
export interface ClientTest extends ClientProgramOptions {
  /** Executables that building and running need. Without one of them the test is skipped. */
  readonly tools: readonly string[];
  /** Makes the program, under dist/clients, from what is cached there. @returns its command. */
  readonly build: () => Promise<readonly string[]>;
  /** Names that the program must print. Default: all. */
  readonly checks?: readonly string[];
}

/** Declares a test that builds and runs a client program, with a subtest for each check. */
export function testClient(title: string, options: ClientTest): void {
  test(title, { skip: skipWithout(options.tools) }, async (context) => {
    const results = await runClientProgram(await options.build(), options);
    const expected = [...(options.checks ?? CHECKS), "exit-code", "server"];
    // What is printed beside the expected counts too: it may say "not ok".
    for (const name of new Set([...expected, ...results.map((result) => result.name)])) {
      await context.test(name, () => judge(results.filter((result) => result.name === name)));
    }
  });
}

/** @throws unless there is one result and it is good. Where in here it threw is of no interest. */
function judge(results: readonly CheckResult[]): void {
  const [first, ...others] = results;
  let failure = first?.failure;
  if (first === undefined) failure = "the program did not print it";
  else if (others.length > 0) failure = `the program printed it ${results.length} times`;
  if (failure !== undefined) throw Object.assign(new Error(failure), { stack: failure });
}

/** Runs a step of a build. @throws with all that it printed, when it does not end with 0. */
export async function runBuildStep(
  [command = "", ...args]: readonly string[],
  options: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<void> {
  const { code, stdout, stderr } = await runCommand(args, { command, ...options });
  if (code === 0) return;
  throw new Error(`${[command, ...args].join(" ")} ended with ${code}: ${stdout}${stderr}`);
}

/** @returns why a test that needs these executables is skipped, or false when all are there. */
export function skipWithout(tools: readonly string[]): string | false {
  const missing = tools.filter((name) => !isOnPath(name));
  return missing.length > 0 && `needs ${missing.join(", ")}, not on this machine's PATH`;
}

function isOnPath(name: string): boolean {
  return (process.env["PATH"] ?? "").split(delimiter).some((dir) => {
    try {
      accessSync(join(dir, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
