import { integerFrom } from "../support/prng.ts";
import { GOOD_LINK, type LinkSettings, type SimNetwork } from "../support/sim-network.ts";
import type { Machine } from "./machine.ts";
import type { Fault, Scenario } from "./scenario.ts";

const RESTART_MS_MAX = 6_000;
const FAULT_MS_MIN = 300;
const FAULT_MS_MAX = 8_000;
const WALL_JUMP_US_MAX = 2 * 60 * 60 * 1_000_000;
/** Room that a disk is left when it gets full. */
const ROOM_BYTES_MAX = 40_000;

export interface ChaosParts {
  readonly scenario: Scenario;
  readonly network: SimNetwork;
  readonly machines: readonly Machine[];
  readonly random: () => number;
  readonly schedule: (delayMs: number, work: () => void) => void;
  readonly trace: (line: string) => void;
}

/** Breaks things, one after the other, and mends them after a while. */
export class Chaos {
  readonly #parts: ChaosParts;
  readonly #restarting = new Set<Machine>();
  readonly counts = new Map<Fault, number>();
  #isOver = false;

  constructor(parts: ChaosParts) {
    this.#parts = parts;
  }

  begin(): void {
    this.#next();
    this.#supervise();
  }

  /** Mends everything: from now on nothing goes wrong any more. */
  heal(): void {
    this.#isOver = true;
    this.#parts.network.heal();
    for (const machine of this.#parts.machines) {
      machine.slowness = 1;
      machine.setRoom(undefined);
      machine.life?.fs.onStep(undefined);
      machine.life?.fs.clearFaults();
    }
  }

  #next(): void {
    const { scenario, random, schedule } = this.#parts;
    schedule(integerFrom(random, 50, scenario.pauseMsMax), () => {
      if (this.#isOver) return;
      const fault = scenario.faults[Math.floor(random() * scenario.faults.length)];
      if (fault !== undefined) {
        this.#parts.trace(`fault ${fault}`);
        this.counts.set(fault, (this.counts.get(fault) ?? 0) + 1);
        this.#cause(fault);
      }
      this.#next();
    });
  }

  /** Whoever is down comes back after a while. */
  #supervise(): void {
    const { machines, random, schedule } = this.#parts;
    schedule(200, () => {
      if (this.#isOver) return;
      for (const machine of machines) {
        const isDown = machine.life === undefined && machine.lives > 0 && !machine.isRetired;
        if (!isDown || this.#restarting.has(machine)) continue;
        this.#restarting.add(machine);
        schedule(integerFrom(random, 50, RESTART_MS_MAX), () => {
          this.#restarting.delete(machine);
          machine.start();
        });
      }
      this.#supervise();
    });
  }

  #cause(fault: Fault): void {
    const machine = this.#anyMachine();
    if (machine === undefined) return;
    if (fault === "all-crash") for (const one of this.#parts.machines) one.crash();
    else if (fault === "crash") machine.crash();
    else if (fault === "kill") machine.kill();
    else if (fault === "crash-in-write") machine.crashWithin(integerFrom(this.#random, 1, 60));
    else if (fault === "restart") void machine.close();
    else if (fault === "wall-clock") this.#jump(machine);
    else if (fault.includes("disk")) this.#harmDisk(fault, machine);
    else this.#harmNetwork(fault, machine);
  }

  get #random(): () => number {
    return this.#parts.random;
  }

  #jump(machine: Machine): void {
    const byUs = integerFrom(this.#random, -WALL_JUMP_US_MAX, WALL_JUMP_US_MAX);
    machine.wall.offsetUs = this.#random() < 0.3 ? 0 : byUs;
  }

  #harmDisk(fault: Fault, machine: Machine): void {
    if (fault === "slow-disk") {
      machine.slowness = integerFrom(this.#random, 10, this.#random() < 0.1 ? 6_000 : 300);
      this.#later(() => {
        machine.slowness = 1;
      });
    } else if (fault === "disk-full") {
      machine.setRoom(integerFrom(this.#random, 0, ROOM_BYTES_MAX));
      this.#later(() => machine.setRoom(undefined));
    } else {
      const dice = this.#random();
      const path = dice < 0.6 ? /^journal\// : /^topics\//;
      machine.failDisk(this.#random() < 0.5 ? "write" : "sync", path);
    }
  }

  #harmNetwork(fault: Fault, machine: Machine): void {
    const { network, machines } = this.#parts;
    const names = machines.filter(({ lives }) => lives > 0).map(({ name }) => name);
    const others = names.filter((name) => name !== machine.name);
    // With several at once nobody would reach anybody most of the time.
    if (this.#random() < 0.7) network.heal();
    if (fault === "partition") {
      const left = names.filter(() => this.#random() < 0.5);
      network.partition([left, names.filter((name) => !left.includes(name))]);
    } else if (fault === "isolate") {
      network.partition([[machine.name], others]);
    } else if (fault === "one-way") {
      const isInward = this.#random() < 0.5;
      for (const other of others) {
        if (this.#random() < 0.3) continue;
        if (isInward) network.cut(other, machine.name);
        else network.cut(machine.name, other);
      }
    } else if (fault === "lossy") {
      network.setAll(this.#lossy());
    } else {
      const bytesPerMs = integerFrom(this.#random, 5, 500);
      for (const other of others) {
        network.setLink(machine.name, other, { ...GOOD_LINK, latencyMsMax: 50, bytesPerMs });
      }
    }
    this.#later(() => network.heal());
  }

  #lossy(): LinkSettings {
    return {
      ...GOOD_LINK,
      latencyMsMax: integerFrom(this.#random, 1, 40),
      dropChance: this.#random() * 0.3,
      duplicateChance: this.#random() * 0.3,
      reorderChance: this.#random() * 0.5,
      reorderMsMax: integerFrom(this.#random, 1, 300),
    };
  }

  #later(work: () => void): void {
    this.#parts.schedule(integerFrom(this.#random, FAULT_MS_MIN, FAULT_MS_MAX), () => {
      if (!this.#isOver) work();
    });
  }

  #anyMachine(): Machine | undefined {
    const running = this.#parts.machines.filter(({ life }) => life !== undefined);
    return running[Math.floor(this.#random() * running.length)];
  }
}
