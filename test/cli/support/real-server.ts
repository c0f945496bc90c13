import { mkdtempSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { CliProcess, type CliResult, runCli } from "./run-cli.ts";

/** A fresh folder on the disk of the checkout: a RAM disk would hide what syncs do. */
export function makeFolder(): string {
  return mkdtempSync(join(resolve("node_modules"), ".proglog-test-"));
}

export function removeFolder(dir: string): void {
  rmSync(dir, { recursive: true, force: true });
}

/** `proglog serve` in a process of its own, on the runtime that runs the test. */
export class RealServer {
  readonly process: CliProcess;
  readonly address: string;

  private constructor(process: CliProcess, address: string) {
    this.process = process;
    this.address = address;
  }

  /** Resolves when it is ready; rejects with what it said when it ends before. */
  static async start(
    dataDir: string,
    flags: readonly string[] = [],
    env: Readonly<Record<string, string>> = {},
  ): Promise<RealServer> {
    const isListenGiven = flags.includes("--listen");
    const listen = isListenGiven ? [] : ["--listen", "127.0.0.1:0"];
    const process = new CliProcess(["serve", "--data-dir", dataDir, ...listen, ...flags], env);
    const ready = /^listening on (\S+)\n/m;
    await process.until(() => ready.test(process.stderr));
    return new RealServer(process, ready.exec(process.stderr)?.[1] ?? "");
  }

  /** Runs a command against it. */
  run(args: readonly string[], input: string | Uint8Array = ""): Promise<CliResult> {
    return runCli(args, { input, env: { PROGLOG_SERVER: this.address } });
  }

  /** Offset after the last record of a topic. */
  async nextOffset(topic: string): Promise<number> {
    const { stdout } = await this.run(["topic", "get", topic, "-o", "json"]);
    const answer = JSON.parse(stdout.toString()) as { status: { nextOffset: string } };
    return Number(answer.status.nextOffset);
  }

  stop(): Promise<CliResult> {
    this.process.child.kill("SIGTERM");
    return this.process.ended;
  }

  kill(): Promise<CliResult> {
    this.process.child.kill("SIGKILL");
    return this.process.ended;
  }
}
