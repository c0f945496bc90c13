import { type ChildProcess, spawn } from "node:child_process";

const MAIN = new URL("../../../src/main.ts", import.meta.url).pathname;

const PATIENCE_MS = 30_000;

export interface CliResult {
  readonly code: number;
  readonly stdout: Buffer;
  readonly stderr: string;
}

const alive = new Set<ChildProcess>();

/** Ends what a failed test left running: it would keep the test file from ending. */
export function killLeftovers(): void {
  for (const child of alive) child.kill("SIGKILL");
}

/** The command line in a process of its own, on the runtime that runs the test. */
export class CliProcess {
  readonly child: ChildProcess;
  readonly ended: Promise<CliResult>;
  #stderr = "";
  #stdout: Buffer[] = [];

  constructor(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    this.child = spawn(process.execPath, [MAIN, ...args], {
      stdio: ["pipe", "pipe", "pipe"],
      env: { ...withoutSettings(process.env), ...env },
    });
    alive.add(this.child);
    this.child.once("close", () => alive.delete(this.child));
    this.child.stdout?.on("data", (chunk: Buffer) => this.#stdout.push(chunk));
    this.child.stderr?.on("data", (chunk: Buffer) => {
      this.#stderr += chunk.toString();
    });
    // The command may end before it has read everything.
    this.child.stdin?.on("error", () => {});
    this.ended = new Promise((resolve, reject) => {
      this.child.once("error", reject);
      this.child.once("close", (code, signal) => {
        const stdout = Buffer.concat(this.#stdout);
        resolve({ code: code ?? (signal === null ? -1 : 128), stdout, stderr: this.#stderr });
      });
    });
  }

  get stderr(): string {
    return this.#stderr;
  }

  get stdout(): string {
    return Buffer.concat(this.#stdout).toString();
  }

  write(data: string | Uint8Array): void {
    this.child.stdin?.write(data);
  }

  end(data: string | Uint8Array = ""): Promise<CliResult> {
    this.child.stdin?.end(data);
    return this.ended;
  }

  /** Resolves when `isSo` holds, looked at after each piece of output; rejects when it ends before. */
  async until(isSo: () => boolean): Promise<void> {
    if (isSo()) return;
    await new Promise<void>((resolve, reject) => {
      // No measure of speed: without it a test that waits in vain would say nothing.
      const giveUp = () => reject(new Error(`Waited in vain: ${this.stdout}\n${this.stderr}`));
      setTimeout(giveUp, PATIENCE_MS).unref();
      const look = () => {
        if (isSo()) resolve();
      };
      this.child.stdout?.on("data", look);
      this.child.stderr?.on("data", look);
      void this.ended.then(({ code, stderr }) =>
        reject(new Error(`ended with ${code}: ${stderr}`)),
      );
    });
  }
}

/** Runs it to its end. */
export function runCli(
  args: readonly string[],
  options: {
    readonly input?: string | Uint8Array;
    readonly env?: Readonly<Record<string, string>>;
  } = {},
): Promise<CliResult> {
  return new CliProcess(args, options.env).end(options.input ?? "");
}

/** The settings of whoever runs the tests are not the tests'. */
function withoutSettings(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith("PROGLOG_")));
}
