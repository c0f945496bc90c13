import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { makeFolder, removeFolder, ServerProcess } from "../../e2e/server-process.ts";

/** What every client program checks; test/clients/README.md says what each one means. */
export const CHECKS = [
  "produce",
  "produce-batch",
  "consume",
  "consume-long-poll",
  "tail",
  "produce-stream",
  "error-details",
  "deadline",
  "cancel",
  "large-message",
  "seed",
  "reconnect",
] as const;

/** One check and how it went. */
export interface CheckResult {
  readonly name: string;
  /** Undefined when the check passed. */
  readonly failure: string | undefined;
}

/** Where and for how long a client program runs. */
export interface ClientProgramOptions {
  readonly cwd?: string;
  /** Added to the environment of this process. */
  readonly env?: Readonly<Record<string, string>>;
  /** After so long the program and its children are killed. */
  readonly timeoutMs: number;
  /** Flags of the server beside its address and folder. */
  readonly serverFlags?: readonly string[];
}

const OUTPUT_CHARACTERS_MAX = 20_000;

/**
 * Starts the executable on a free port and an empty folder, and runs a client
 * program against it with the address `host:port` as its last argument. When the
 * program prints `restart?`, the server is killed (-9), started again on the same
 * port and folder, and the program reads the line `restarted`.
 *
 * @returns the checks that the program printed, in that order, and two of the
 *   runner's: `exit-code` (0 if and only if every check passed, and in time) and
 *   `server` (still there at the end, and it stops when told to).
 */
export async function runClientProgram(
  command: readonly string[],
  options: ClientProgramOptions,
): Promise<CheckResult[]> {
  const dir = makeFolder("clients");
  const flags = options.serverFlags ?? [];
  let server = await ServerProcess.start(dir, { flags });
  const restart = async (): Promise<void> => {
    await server.kill();
    server = await ServerProcess.start(dir, { flags: [...flags, "--listen", server.address] });
  };
  try {
    const results = await runProgram([...command, server.address], options, restart);
    const code = await server.stop();
    const failure = code === 0 ? undefined : `it ended with ${code}: ${server.errors}`;
    return [...results, { name: "server", failure }];
  } finally {
    await server.kill();
    removeFolder(dir);
  }
}

async function runProgram(
  [program = "", ...args]: readonly string[],
  options: ClientProgramOptions,
  restart: () => Promise<void>,
): Promise<CheckResult[]> {
  // A group of its own, so that the children of wrappers end with it.
  const child = spawn(program, args, {
    stdio: ["pipe", "pipe", "pipe"],
    detached: true,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    env: { ...process.env, ...options.env },
  });
  const ended = once(child, "close");
  // Awaited below, after the output: a program that cannot be started fails before.
  ended.catch(() => {});
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    killGroup(child);
  }, options.timeoutMs);
  let output = "";
  const keep = (text: string): void => {
    output = (output + text).slice(-OUTPUT_CHARACTERS_MAX);
  };
  child.stderr.on("data", (chunk: Buffer) => keep(chunk.toString()));
  // The program may end without reading its input.
  child.stdin.on("error", () => {});
  const results: CheckResult[] = [];
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      const result = parseLine(line);
      if (result !== undefined) results.push(result);
      else if (line === "restart?") await restart().then(() => child.stdin.write("restarted\n"));
      else keep(`${line}\n`);
    }
    const [code, signal] = await ended;
    const arePassed = results.every((result) => result.failure === undefined);
    let failure: string | undefined;
    if (isLate) failure = `killed after ${options.timeoutMs} ms; it printed: ${output}`;
    else if (signal !== null) failure = `ended by ${signal}; it printed: ${output}`;
    else if ((code === 0) !== arePassed) failure = `ended with ${code}; it printed: ${output}`;
    return [...results, { name: "exit-code", failure }];
  } finally {
    clearTimeout(timer);
    killGroup(child);
  }
}

/** @returns undefined for a line that is not the result of a check. */
function parseLine(line: string): CheckResult | undefined {
  const match = /^(ok|not ok) ([a-z0-9-]+)(?:: (.*))?$/.exec(line);
  if (match === null) return undefined;
  const [, word, name = "", why = "no reason given"] = match;
  return { name, failure: word === "ok" ? undefined : why };
}

function killGroup(child: ChildProcess): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
  } catch {
    // Nothing of the group is left.
  }
}
