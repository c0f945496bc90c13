import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync } from "node:fs";
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

  /** Resolves when it is up. Its output goes to `output.log` in `dir`. */
  static async start(
    peer: Peer,
    options: { readonly kit: string; readonly dir: string; readonly setting: Setting },
  ): Promise<PeerProcess> {
    const { kit, dir, setting } = options;
    mkdirSync(dir, { recursive: true });
    const process = new PeerProcess(peer, setting, dir, peer.prepare(kit, dir, setting));
    process.launch();
    await process.#whenUp();
    await sleep(SETTLE_MS);
    return process;
  }

  /** Starts the process, also again after {@link kill}; does not wait for it. */
  launch(): void {
    const [program = "", ...args] = this.#command.command;
    const output = openSync(join(this.#dir, "output.log"), "a");
    this.#child = spawn(program, args, { stdio: ["ignore", output, output] });
    closeSync(output);
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

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise<void>((done) => child.once("exit", () => done()));
    child.kill(signal);
    const timer = setTimeout(() => child.kill("SIGKILL"), STOP_MS_MAX);
    await ended;
    clearTimeout(timer);
  }

  async #whenUp(): Promise<void> {
    const giveUpMs = performance.now() + READY_MS_MAX;
    while (!(await isOpen(this.#command.port))) {
      if (this.#child?.exitCode !== null || performance.now() > giveUpMs) {
        throw new Error(`Cannot start ${this.peer.name}: see ${join(this.#dir, "output.log")}`);
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
