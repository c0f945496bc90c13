import { hasReason } from "../../src/base/errors.ts";
import { type Logger, SILENT_LOGGER } from "../../src/base/log.ts";
import type { NodeNetwork } from "../../src/cluster/node-network.ts";
import { integerFrom, makeRandom, SeededRandom } from "../support/prng.ts";
import { type SimClock, SimLifeClock } from "../support/sim-clock.ts";
import { SimCrash, SimFileSystem } from "../support/sim-file-system.ts";
import type { SimNetwork } from "../support/sim-network.ts";
import type { SimPort } from "../support/sim-port.ts";
import type { PassingCore } from "./passing-core.ts";
import type { OpenServer, SimulatedServer } from "./server.ts";
import type { Violations } from "./violation.ts";

/** Latency of what changes the disk, in milliseconds. */
const DISK_MS_MIN = 0.05;
const DISK_MS_MAX = 1.5;

/** A start that takes longer hangs, unless the disk is full or slow, or there is nobody to join. */
const CLOSE_MS_MAX = 30_000;

/** One life of a machine: from power on, or the start of the process, to its end. */
export interface Life {
  readonly number: number;
  readonly fs: SimFileSystem;
  readonly clock: SimLifeClock;
  readonly port: SimPort;
  readonly core: PassingCore;
  /** Set when the server has started. */
  server: SimulatedServer | undefined;
  isOver: boolean;
  /** Resolves when it is over. */
  readonly over: Promise<void>;
  readonly finish: () => void;
}

export interface MachineParts {
  readonly name: string;
  readonly seed: number;
  readonly clock: SimClock;
  readonly network: SimNetwork;
  readonly violations: Violations;
  readonly makeCore: () => PassingCore;
  readonly openServer: OpenServer;
  /** The server's network, by way of the machine's. */
  readonly networkOf: (port: SimPort) => NodeNetwork;
  readonly join: readonly string[];
  readonly bootstrapExpect: number;
  readonly trace: (line: string) => void;
  /** What the server says; default: nothing is kept. */
  readonly logger?: (machine: string) => Logger;
}

/** A machine with a disk, a clock and a server, that can be stopped in all ways. */
export class Machine {
  readonly name: string;
  readonly address: string;
  /** Its wall clock is ahead by that. */
  readonly wall = { offsetUs: 0 };
  readonly #parts: MachineParts;
  readonly #random: () => number;
  #disk: SimFileSystem;
  #life: Life | undefined;
  #lives = 0;
  #nodeId: string | undefined;
  /** Factor of the disk's latency. */
  slowness = 1;
  #isDiskFull = false;
  /** Its disk fails in this life. */
  #isDiskBroken = false;
  /** Its removal was asked for: it may have happened though nobody was told. */
  isRemovalAsked = false;
  /** Not to be started again: it was removed from the cluster. */
  isRetired = false;

  constructor(parts: MachineParts) {
    this.#parts = parts;
    this.name = parts.name;
    this.address = `${parts.name}:7420`;
    this.#random = makeRandom(parts.seed);
    this.#disk = new SimFileSystem(makeRandom(parts.seed + 1), {
      latency: (op) => this.#latency(op),
    });
  }

  /** Undefined while the machine is down. */
  get life(): Life | undefined {
    return this.#life;
  }

  /** Undefined while it is down or starts. */
  get server(): SimulatedServer | undefined {
    return this.#life?.server;
  }

  get lives(): number {
    return this.#lives;
  }

  /** Id of its server; undefined until it has served once. */
  get nodeId(): string | undefined {
    return this.#nodeId;
  }

  /** Of the present or next life. */
  get disk(): SimFileSystem {
    return this.#disk;
  }

  /** True while errors of its disk are to be expected. */
  get isDiskFaulty(): boolean {
    return this.#isDiskFull || this.#isDiskBroken;
  }

  /** The next operation of that kind fails, which ends the process; the next life finds a whole disk. */
  failDisk(op: "write" | "sync" | "syncDir" | "read", path: RegExp): void {
    if (this.#life === undefined) return;
    this.#trace(`disk will fail to ${op} ${path}`);
    this.#isDiskBroken = true;
    this.#life.fs.failNext({ op, path }, "EIO");
  }

  /** Leaves the disk so many bytes; undefined: all that it wants. */
  setRoom(bytes: number | undefined): void {
    this.#trace(`has room for ${bytes}`);
    this.#isDiskFull ||= bytes !== undefined;
    const capacity = bytes === undefined ? Number.POSITIVE_INFINITY : this.#disk.usedBytes + bytes;
    this.#disk.setCapacity(capacity);
  }

  /** Starts the server; what becomes of it shows in {@link server}. */
  start(): void {
    if (this.#life !== undefined || this.isRetired) return;
    const { clock, network, name } = { ...this.#parts };
    this.#lives += 1;
    this.#isDiskBroken = false;
    const number = this.#lives;
    const lifeClock = new SimLifeClock(clock, this.wall);
    const { promise: over, resolve: finish } = Promise.withResolvers<void>();
    const life: Life = {
      number,
      fs: this.#disk,
      clock: lifeClock,
      port: network.connect(name, { address: this.address, clock: lifeClock }),
      core: this.#parts.makeCore(),
      server: undefined,
      isOver: false,
      over,
      finish,
    };
    this.#life = life;
    this.#trace("starts");
    void this.#open(life);
  }

  /** The power goes: what was not synced is lost, or torn. */
  crash(): void {
    if (this.#life === undefined) return;
    this.#trace("loses power");
    this.#disk.crash();
    this.#end();
  }

  /** The process is killed: what it has written stays. */
  kill(): void {
    if (this.#life === undefined) return;
    this.#trace("is killed");
    this.#end();
  }

  /** The power goes at one of the next operations of the disk. */
  crashWithin(steps: number): void {
    const life = this.#life;
    if (life === undefined) return;
    let left = steps;
    life.fs.onStep(() => {
      left -= 1;
      if (left > 0) return;
      queueMicrotask(() => {
        if (this.#life === life) this.crash();
      });
      throw new SimCrash();
    });
  }

  /** Stops the server cleanly, then the process. */
  async close(): Promise<void> {
    const life = this.#life;
    if (life === undefined) return;
    if (life.server === undefined) {
      this.kill();
      return;
    }
    this.#trace("stops");
    const cancel = life.clock.schedule(CLOSE_MS_MAX, () => {
      if (!this.isDiskFaulty) this.#report(`does not stop within ${CLOSE_MS_MAX} ms`);
      if (this.#life === life) this.kill();
    });
    await Promise.race([life.server.close(), life.over]).catch((error) => {
      if (!life.isOver && !this.isDiskFaulty) this.#report(`does not stop cleanly: ${error}`);
    });
    cancel();
    if (this.#life === life) this.#end();
  }

  async #open(life: Life): Promise<void> {
    const { openServer, join, bootstrapExpect, logger } = this.#parts;
    try {
      const server = await openServer({
        fs: life.fs,
        clock: life.clock,
        random: new SeededRandom(integerFrom(this.#random, 1, 2 ** 31)),
        logger: logger?.(this.name) ?? SILENT_LOGGER,
        core: life.core,
        network: this.#parts.networkOf(life.port),
        cluster: {
          ...{ join, bootstrapExpect, zone: "", version: "sim" },
          address: () => this.address,
        },
        pid: life.number,
        onFailure: (error) => this.#failed(life, error),
      });
      if (life.isOver) return;
      life.server = server;
      this.#nodeId = server.cluster.nodeId;
      this.#trace("serves");
    } catch (error) {
      if (life.isOver) return;
      if (!this.#mayFail(life, error)) this.#report(`does not start: ${error}`);
      this.kill();
    }
  }

  #failed(life: Life, error: unknown): void {
    if (life.isOver) return;
    this.#trace(`fails: ${error}`);
    if (!this.#mayFail(life, error)) this.#report(`fails: ${describe(error)}`);
    this.kill();
  }

  #mayFail(life: Life, error: unknown): boolean {
    if (this.isRemovalAsked && hasReason(error, "SERVER_REMOVED")) {
      this.isRetired = true;
      return true;
    }
    return this.isDiskFaulty || life.fs.isStopped;
  }

  #end(): void {
    const life = this.#life;
    if (life === undefined) return;
    this.#life = undefined;
    life.isOver = true;
    this.#disk = life.fs.reopen();
    life.clock.end();
    this.#parts.network.disconnect(life.port);
    life.core.end();
    life.finish();
  }

  #latency(op: string): Promise<void> | undefined {
    if (op !== "write" && op !== "sync" && op !== "syncDir") return undefined;
    const spreadMs = DISK_MS_MAX - DISK_MS_MIN;
    const delayMs = (DISK_MS_MIN + this.#random() * spreadMs) * this.slowness;
    return new Promise((resolve) => this.#parts.clock.schedule(delayMs, resolve));
  }

  #report(text: string): void {
    this.#parts.violations.report(`${this.name} ${text}`);
  }

  #trace(text: string): void {
    this.#parts.trace(`${this.#parts.clock.monotonicMs().toFixed(3)} ${this.name} ${text}`);
  }
}

/** True when clients can talk to its server. */
export function isRunning({ server }: Machine): boolean {
  return server !== undefined;
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
