import { execFileSync } from "node:child_process";
import type { Bench } from "../rpc/bench-folder.ts";
import type { Sample } from "../rpc/load.ts";
import { compare, say } from "../rpc/rounds.ts";
import type { Generator } from "./generator.ts";
import { PeerProcess } from "./peer-process.ts";
import type { Peer, Setting } from "./peers.ts";

/** What a run of the benchmark has for all its phases. */
export interface Contestants {
  readonly bench: Bench;
  readonly kit: string;
  readonly generator: Generator;
  readonly peers: readonly Peer[];
  readonly rounds: number;
  /** Length of one run. */
  readonly seconds: number;
  /** Part of the data of catch-up and restart. */
  readonly scale: number;
}

/** A peer whose runs fail so often is left out of the rest of a phase. */
const FAILURES_MAX = 2;

/** Peers that run at once, and are loaded in turn. One that fails does not end it for others. */
export class Contest {
  readonly #phase: string;
  readonly #rounds: number;
  readonly #failures = new Map<PeerProcess, number>();

  private constructor(phase: string, rounds: number) {
    this.#phase = phase;
    this.#rounds = rounds;
  }

  static async begin(
    { bench, kit, peers, rounds }: Contestants,
    options: { readonly phase: string; readonly setting: Setting },
  ): Promise<Contest> {
    const { phase, setting } = options;
    const contest = new Contest(phase, rounds);
    for (const peer of peers) {
      try {
        const dir = bench.folder(`${phase}-${peer.name}`);
        const process = await PeerProcess.start(peer, { kit, dir, setting });
        bench.onEnd(() => process.stop());
        contest.#failures.set(process, 0);
      } catch (error) {
        sayFailed(phase, peer, `${error}`);
      }
    }
    return contest;
  }

  /** Those that run, and have not failed too often. */
  get processes(): readonly PeerProcess[] {
    const left = [...this.#failures].filter(([, failures]) => failures < FAILURES_MAX);
    return left.map(([process]) => process).filter((process) => this.#isRunning(process));
  }

  /** Does something with each in turn. One that fails is left out from now on. */
  async prepare(what: string, act: (process: PeerProcess) => Promise<unknown>): Promise<void> {
    for (const process of this.processes) {
      try {
        await act(process);
      } catch (error) {
        sayFailed(this.#phase, process.peer, `${what}: ${error}`);
        this.#failures.set(process, FAILURES_MAX);
      }
    }
  }

  /** A row of the table: all of them, round by round. @param rate the figure of the ratios */
  async row(
    what: string,
    options: { readonly rate: string; readonly load: (process: PeerProcess) => Promise<Sample> },
  ): Promise<void> {
    const { rate, load } = options;
    const entrants = this.processes.map((process) => ({
      name: process.peer.name,
      fields: {
        phase: this.#phase,
        title: process.peer.title,
        setting: process.peer[process.setting],
      },
      run: () => this.#attempt(process, what, load),
      ...(process.peer.name === "proglog" ? {} : { ratios: { toProglog: "proglog" } }),
    }));
    await compare(entrants, { what, rounds: this.#rounds, rate });
  }

  /** Ends all, and frees the disk. */
  async end(): Promise<void> {
    for (const process of this.#failures.keys()) await process.discard();
  }

  /** Says it once when it is not. */
  #isRunning(process: PeerProcess): boolean {
    if (process.isRunning) return true;
    sayFailed(this.#phase, process.peer, "the process has ended");
    this.#failures.set(process, FAILURES_MAX);
    return false;
  }

  async #attempt(
    process: PeerProcess,
    what: string,
    load: (process: PeerProcess) => Promise<Sample>,
  ): Promise<Sample> {
    const failures = this.#failures.get(process) ?? 0;
    if (failures >= FAILURES_MAX || !this.#isRunning(process)) return {};
    try {
      return await load(process);
    } catch (error) {
      sayFailed(this.#phase, process.peer, `${what}: ${error}`);
      this.#failures.set(process, failures + 1);
      return {};
    }
  }
}

export function sayFailed(phase: string, { title }: Peer, why: string): void {
  say({ what: "failed", phase, title, why: why.slice(0, 500) });
}

/** Writes out what the peers have not: else the disk is busy with it while they are measured. */
export function flushDisk({ bench }: Pick<Contestants, "bench">): void {
  execFileSync("sync", ["-f", bench.dir]);
}
