import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, rmSync } from "node:fs";
import { createConnection } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Peer, PeerCommand, Setting } from "./peers.ts";

const READY_MS_MAX = 60_000;
const STOP_MS_MAX = 15_000;
/** Some peers open their port before they are of use. */
const SETTLE_MS = 2_000;

/** A peer that runs, with a folder of its own. */
export class PeerProcess {
  readonly peer: Peer;
  readonly setting: Setting;
  readonly #dir: string;
  readonly #command: PeerCommand;
  #child: ChildProcess | undefined;

  private constructor(peer: Peer, setting: Setting, dir: string, command: PeerCommand) {
    this.peer = peer;
    this.setting = setting;
    this.#dir = dir;
    this.#command = command;
  }

  /**
   * Resolves when it is up. Its output goes to `output.log` in `dir`.
   *
   * @throws when it does not come up; then nothing is left of it but its output
   */
  static async start(
    peer: Peer,
    options: { readonly kit: string; readonly dir: string; readonly setting: Setting },
  ): Promise<PeerProcess> {
    const { kit, dir, setting } = options;
    mkdirSync(dir, { recursive: true });
    const process = new PeerProcess(peer, setting, dir, peer.prepare(kit, dir, setting));
    if (await isOpen(process.#command.port)) {
      throw new Error(`Cannot start ${peer.name}: port ${process.#command.port} is taken`);
    }
    process.launch();
    try {
      await process.#whenUp();
    } catch (error) {
      await process.kill();
      throw error;
    }
    await sleep(SETTLE_MS);
    return process;
  }

  /** Starts the process, also again after {@link kill}; does not wait for it. */
  launch(): void {
    const { command, env } = this.#command;
    const [program = "", ...args] = command;
    const output = openSync(join(this.#dir, "output.log"), "a");
    this.#child = spawn(program, args, {
      stdio: ["ignore", output, output],
      env: { ...process.env, ...env },
    });
    // A program that is not there has an exit code, as one that has ended.
    this.#child.once("error", () => {});
    closeSync(output);
  }

  get pid(): number {
    return this.#child?.pid ?? -1;
  }

  get pids(): readonly number[] {
    return [this.pid];
  }

  get isRunning(): boolean {
    const child = this.#child;
    return child !== undefined && child.exitCode === null && child.signalCode === null;
  }

  /** Flags of the generator that say whom to load. */
  get flags(): readonly string[] {
    const { address, options = "" } = this.#command;
    return ["-peer", this.peer.protocol, "-addr", address, "-opts", options];
  }

  /** kill -9. */
  kill(): Promise<void> {
    return this.#end("SIGKILL");
  }

  stop(): Promise<void> {
    return this.#end("SIGTERM");
  }

  /** Stops it and removes all that it has stored. */
  async discard(): Promise<void> {
    await this.stop();
    rmSync(this.#dir, { recursive: true, force: true });
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (child === undefined || !this.isRunning) return;
    const ended = new Promise<void>((done) => child.once("exit", () => done()));
    child.kill(signal);
    const timer = setTimeout(() => child.kill("SIGKILL"), STOP_MS_MAX);
    await ended;
    clearTimeout(timer);
  }

  async #whenUp(): Promise<void> {
    const giveUpMs = performance.now() + READY_MS_MAX;
    while (!(await isOpen(this.#command.port))) {
      if (!this.isRunning || performance.now() > giveUpMs) {
        const code = this.#child?.exitCode ?? "no exit yet";
        throw new Error(`Cannot start ${this.peer.name}: ${this.#command.command[0]}: ${code}`);
      }
      await sleep(100);
    }
  }
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((done) => {
    const socket = createConnection({ port, host: "127.0.0.1" });
    socket.once("connect", () => {
      socket.destroy();
      done(true);
    });
    socket.once("error", () => done(false));
  });
}
