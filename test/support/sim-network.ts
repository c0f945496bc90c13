import type { Clock } from "../../src/base/clock.ts";
import { integerFrom } from "./prng.ts";
import type { SimClock } from "./sim-clock.ts";
import { SimPort } from "./sim-port.ts";

/** What a link between two machines does, one way. */
export interface LinkSettings {
  /** Every message takes a time between the two, in milliseconds. */
  readonly latencyMsMin: number;
  readonly latencyMsMax: number;
  /** Chances, 0 to 1, that a message is lost, comes twice, or is overtaken by others. */
  readonly dropChance: number;
  readonly duplicateChance: number;
  readonly reorderChance: number;
  /** How much later one comes that is overtaken, at most, in milliseconds. */
  readonly reorderMsMax: number;
  /** Of the link; what does not fit through at once waits. */
  readonly bytesPerMs: number;
}

export const GOOD_LINK: LinkSettings = {
  latencyMsMin: 0.1,
  latencyMsMax: 1,
  dropChance: 0,
  duplicateChance: 0,
  reorderChance: 0,
  reorderMsMax: 0,
  bytesPerMs: Number.POSITIVE_INFINITY,
};

/** Bytes that may wait for a link; beyond them a sender is refused. */
const QUEUE_BYTES_MAX = 16 * 1024 * 1024;

/** How long a sender takes to see that nothing comes through any more, in milliseconds. */
const SILENCE_MS_MIN = 1_000;
const SILENCE_MS_MAX = 3_000;

export interface SimNetworkOptions {
  readonly clock: SimClock;
  readonly random: () => number;
  /** Told of everything that arrives, is lost or is changed, for a trace. */
  readonly trace?: (line: string) => void;
}

/** Something on its way. */
export interface Transit {
  readonly bytes: number;
  /** For the trace. */
  readonly label: string;
  arrive(target: SimPort): void;
  /**
   * Set for a part of a stream, which neither comes twice nor out of order: a part that is lost breaks it, and
   * its sender is told, unless the link is cut: then nobody is told anything.
   */
  readonly broken?: () => void;
}

interface Link {
  isCut: boolean;
  settings: LinkSettings | undefined;
  /** When the last one arrives of those that may not be overtaken. */
  lastArrivalMs: number;
  busyUntilMs: number;
  waitingBytes: number;
  /** True while a time-out of the sender runs. */
  isSilenceTimed: boolean;
}

/**
 * The network between simulated machines. A machine has a name, for faults; an address, by which others dial
 * it; and a {@link SimPort} for each of its lives.
 *
 * Raft's messages may be lost, repeated and overtaken, as {@link LinkSettings} say. Calls between peers are
 * streams: they come whole and in order, or break. Over a cut link nothing passes and nobody is told; a sender
 * learns by its own time-out. Everything is copied when it is sent: machines share no memory. When a machine
 * stops, what was on its way to it is lost, and what it had sent arrives or not.
 *
 * A run is a function of the clock's steps and of the random numbers.
 */
export class SimNetwork {
  readonly #options: SimNetworkOptions;
  readonly #ports = new Map<string, SimPort>();
  readonly #links = new Map<string, Link>();
  #settings: LinkSettings = GOOD_LINK;

  constructor(options: SimNetworkOptions) {
    this.#options = options;
  }

  get clock(): SimClock {
    return this.#options.clock;
  }

  get random(): () => number {
    return this.#options.random;
  }

  trace(line: string): void {
    this.#options.trace?.(`${this.clock.monotonicMs().toFixed(3)} ${line}`);
  }

  /** A machine's life begins: others reach it by `address` from when it attaches a node. */
  connect(name: string, options: { readonly address: string; readonly clock: Clock }): SimPort {
    if (this.#ports.get(name) !== undefined) throw new Error(`Machine "${name}" runs already`);
    const port = new SimPort(this, { name, ...options });
    this.#ports.set(name, port);
    return port;
  }

  /** The machine stops, or its process ends: its connections break. */
  disconnect(port: SimPort): void {
    if (this.#ports.get(port.name) !== port) return;
    this.#ports.delete(port.name);
    port.end();
    this.trace(`down ${port.name}`);
    for (const other of this.#ports.values()) {
      if (!other.hasDialled(port.address) || this.#link(port.name, other.name).isCut) continue;
      this.#later(integerFrom(this.random, 1, 20), () => other.broke(port.address));
    }
  }

  /** The machine that answers at an address now. */
  at(address: string): SimPort | undefined {
    for (const port of this.#ports.values()) if (port.address === address) return port;
    return undefined;
  }

  port(name: string): SimPort | undefined {
    return this.#ports.get(name);
  }

  /** What all links do that have no settings of their own. */
  setAll(settings: LinkSettings): void {
    this.#settings = settings;
    for (const link of this.#links.values()) link.settings = undefined;
    this.trace(`links ${JSON.stringify(settings)}`);
  }

  /** What the link from one machine to another does. */
  setLink(from: string, to: string, settings: LinkSettings): void {
    this.#link(from, to).settings = settings;
    this.trace(`link ${from}>${to} ${JSON.stringify(settings)}`);
  }

  /** Nothing passes from one machine to the other any more, what is on its way included. */
  cut(from: string, to: string): void {
    this.#link(from, to).isCut = true;
    this.trace(`cut ${from}>${to}`);
  }

  /** Machines of different groups cannot reach each other. Those that are not named are not touched. */
  partition(groups: readonly (readonly string[])[]): void {
    for (const group of groups) {
      for (const other of groups) {
        if (group === other) continue;
        for (const from of group) for (const to of other) this.cut(from, to);
      }
    }
  }

  /** Everything passes again, as well as at first. */
  heal(): void {
    for (const link of this.#links.values()) link.isCut = false;
    this.setAll(GOOD_LINK);
  }

  isCut(from: string, to: string): boolean {
    return this.#link(from, to).isCut;
  }

  /** @returns false when too much waits already: it is lost */
  transit(from: SimPort, target: SimPort, item: Transit): boolean {
    const link = this.#link(from.name, target.name);
    const settings = link.settings ?? this.#settings;
    if (link.waitingBytes + item.bytes > QUEUE_BYTES_MAX) return false;
    if (link.isCut) {
      this.#lose(from, target, item, link);
      return true;
    }
    const { random } = this.#options;
    const isLost = random() < settings.dropChance;
    if (isLost && item.broken === undefined) {
      this.trace(`lost ${from.name}>${target.name} ${item.label}`);
      return true;
    }
    this.#carry(from, target, isLost ? { ...item, arrive: item.broken ?? item.arrive } : item);
    if (item.broken === undefined && random() < settings.duplicateChance) {
      this.#carry(from, target, item);
    }
    return true;
  }

  #carry(from: SimPort, target: SimPort, item: Transit): void {
    const link = this.#link(from.name, target.name);
    const settings = link.settings ?? this.#settings;
    const { random } = this.#options;
    const nowMs = this.clock.monotonicMs();
    link.busyUntilMs = Math.max(nowMs, link.busyUntilMs) + item.bytes / settings.bytesPerMs;
    const spreadMs = settings.latencyMsMax - settings.latencyMsMin;
    const latencyMs = settings.latencyMsMin + random() * spreadMs;
    let atMs = link.busyUntilMs + latencyMs;
    if (item.broken === undefined && random() < settings.reorderChance) {
      atMs += random() * settings.reorderMsMax;
    } else {
      atMs = Math.max(atMs, link.lastArrivalMs);
      link.lastArrivalMs = atMs;
    }
    link.waitingBytes += item.bytes;
    const survives = random() < 0.5;
    this.#later(atMs - nowMs, () => {
      link.waitingBytes -= item.bytes;
      if (link.isCut) {
        this.#lose(from, target, item, link);
      } else if (target.isOver || (from.isOver && !survives)) {
        this.trace(`gone ${from.name}>${target.name} ${item.label}`);
      } else {
        this.trace(`came ${from.name}>${target.name} ${item.label}`);
        item.arrive(target);
      }
    });
  }

  /** Over a cut link: the sender sees after a while that nothing is answered. */
  #lose(from: SimPort, target: SimPort, item: Transit, link: Link): void {
    this.trace(`cut ${from.name}>${target.name} ${item.label}`);
    if (link.isSilenceTimed) return;
    link.isSilenceTimed = true;
    this.#later(integerFrom(this.random, SILENCE_MS_MIN, SILENCE_MS_MAX), () => {
      link.isSilenceTimed = false;
      if (link.isCut) from.broke(target.address);
    });
  }

  #later(delayMs: number, work: () => void): void {
    this.clock.schedule(delayMs, work);
  }

  #link(from: string, to: string): Link {
    const key = `${from}>${to}`;
    const known = this.#links.get(key);
    if (known !== undefined) return known;
    const made: Link = {
      isCut: false,
      settings: undefined,
      lastArrivalMs: 0,
      busyUntilMs: 0,
      waitingBytes: 0,
      isSilenceTimed: false,
    };
    this.#links.set(key, made);
    return made;
  }
}
