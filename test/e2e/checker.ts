import { createWriteStream, type WriteStream } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { failureOf } from "../../src/client/failure.ts";
import { makeRandom } from "../support/prng.ts";
import { History, type Tally } from "./checker-history.ts";
import {
  type ProducerOptions,
  runExpecting,
  runMany,
  runPlain,
  runSequenced,
} from "./checker-producers.ts";
import { type ReaderOptions, readWhole, runEndReader, runTail } from "./checker-readers.ts";
import { runSequencedStreams, runStreams } from "./checker-streams.ts";
import { Targets } from "./checker-targets.ts";
import type { ClusterNode } from "./cluster-node.ts";
import { until } from "./cluster-processes.ts";

/** Topics that the checker writes to; the last has one writer alone. */
export const CHECKED_TOPICS = ["default", "orders", "expecting"];
const IN_FLIGHT = 64;
/** As many batches as a producer's answers are remembered for, or fewer. */
const SEQUENCED_IN_FLIGHT = 5;
const END_PACE_MS = 200;
const SEEN_MS_MAX = 60_000;
const TOPIC_MS_MAX = 30_000;

export interface CheckerOptions {
  /** The servers of the cluster as the list is now. */
  readonly nodes: () => readonly ClusterNode[];
  readonly seed: number;
  /** Of each producer, between two batches; those with 64 in flight pause 64 times as long. */
  readonly paceMs: number;
  /** Every answer becomes a line of this file. */
  readonly historyFile: string;
}

/**
 * Steady load on a cluster, by producers and readers of all kinds, that remembers all it was
 * told and finds what contradicts it.
 */
export class Checker {
  readonly history: History;
  readonly #options: CheckerOptions;
  readonly #places = new Map<string, number>();
  readonly #running: Promise<void>[] = [];
  readonly #file: WriteStream;
  readonly #readers: ReaderOptions;
  readonly #tailed = new Set<ClusterNode>();
  readonly #beganMs = performance.now();
  #areProducersStopped = false;
  #isStopped = false;
  readonly #lastAckMs = new Map<string, number>();
  #longestGapMs = 0;
  #acks = 0;

  constructor(options: CheckerOptions) {
    this.#options = options;
    this.#file = createWriteStream(options.historyFile, { mode: 0o600 });
    // Those that try again: what others leave without an answer may come late.
    this.history = new History(CHECKED_TOPICS, [4, 5, 6, 7]);
    this.#readers = {
      history: this.history,
      targets: this.#targetsOf(999),
      isStopped: () => this.#isStopped,
    };
  }

  /** Makes the topics, and starts all producers and readers. */
  async start(): Promise<void> {
    const { paceMs } = this.#options;
    await this.#createTopics();
    for (const topic of CHECKED_TOPICS) this.#lastAckMs.set(topic, performance.now());
    const run = (producer: number, topic: string, body: (own: ProducerOptions) => Promise<void>) =>
      this.#running.push(body(this.#producerOptions(producer, topic)));
    run(1, "default", runPlain);
    run(2, "default", (own) => runMany({ ...own, paceMs: paceMs * IN_FLIGHT }, IN_FLIGHT));
    run(3, "orders", (own) => runStreams(own, IN_FLIGHT));
    run(4, "expecting", runExpecting);
    run(5, "orders", runSequenced);
    run(6, "default", (own) => runSequencedStreams(own, SEQUENCED_IN_FLIGHT));
    run(7, "orders", (own) => runSequencedStreams(own, 1));
    this.#running.push(runEndReader(this.#readers, END_PACE_MS));
    this.#tailAll();
  }

  /** Batches acknowledged so far. */
  get acks(): number {
    return this.#acks;
  }

  /** Longest time without an acknowledgement on some topic since this was asked last, in ms. */
  takeGap(): number {
    const now = performance.now();
    const open = [...this.#lastAckMs.values()].map((lastMs) => now - lastMs);
    const gap = Math.max(this.#longestGapMs, ...open);
    this.#longestGapMs = 0;
    return gap;
  }

  /** Resolves when so many more batches are acknowledged. @throws when it takes too long */
  async whenAcknowledged(count: number, msMax: number): Promise<void> {
    const wanted = this.#acks + count;
    await until(`${count} acknowledgements`, msMax, async () => this.#acks >= wanted || undefined);
  }

  /** Waits until readers have seen at every server that runs what is acknowledged now. */
  async whenSeen(msMax = SEEN_MS_MAX): Promise<void> {
    this.#tailAll();
    for (const topic of CHECKED_TOPICS) {
      const end = this.history.floorOf(topic);
      for (const node of this.#options.nodes().filter(({ isRunning }) => isRunning)) {
        const name = `${node.name} ${topic}`;
        await until(`${end} records of ${topic} at ${node.name}`, msMax, async () =>
          (this.#places.get(name) ?? 0) >= end ? true : undefined,
        );
      }
    }
  }

  /**
   * Ends the load, reads everything again at every server, and judges. All servers must run and
   * reach each other.
   *
   * @param msMax how long a server may be without the next record
   * @returns what there is; what is wrong is in the history's violations
   */
  async finish(msMax = SEEN_MS_MAX): Promise<Tally> {
    this.#areProducersStopped = true;
    // Those that wait for an answer get it, or give up.
    await pause(6_000);
    try {
      for (const topic of CHECKED_TOPICS) {
        const end = await this.#endOf(topic);
        for (const node of this.#options.nodes()) {
          await readWhole(this.#readers, node, topic, { end, msMax });
        }
      }
    } catch (error) {
      this.history.violate(`${error}`);
    }
    await this.stop();
    return this.history.judge();
  }

  async stop(): Promise<void> {
    this.#areProducersStopped = true;
    this.#isStopped = true;
    await Promise.all(this.#running);
    await new Promise<void>((done) => this.#file.end(done));
  }

  /** Writes a line about what is done to the cluster among the answers. */
  note(what: string): void {
    const ms = Math.round(performance.now() - this.#beganMs);
    this.#file.write(`${JSON.stringify({ ms, what })}\n`);
  }

  async #endOf(topic: string): Promise<number> {
    const { targets } = this.#readers;
    return until(`the end of ${topic}`, SEEN_MS_MAX, async () => {
      try {
        const { status } = await targets.clients.topics.getTopic({ topic }, { timeoutMs: 5_000 });
        return Number(status?.nextOffset ?? 0);
      } catch {
        await targets.next();
        return undefined;
      }
    });
  }

  async #createTopics(): Promise<void> {
    const { targets } = this.#readers;
    for (const topic of CHECKED_TOPICS) {
      if (topic === "default") continue;
      // Small segments, so that faults also meet their rotation.
      const settings = { maxSegmentBytes: 256 * 1024 };
      await until(`topic ${topic}`, TOPIC_MS_MAX, async () => {
        try {
          await targets.clients.topics.createTopic({ topic, settings }, { timeoutMs: 10_000 });
          return true;
        } catch (error) {
          if (failureOf(error).reason === "TOPIC_EXISTS") return true;
          await targets.next();
          return undefined;
        }
      });
    }
  }

  /** Servers that were added since get their readers too. */
  #tailAll(): void {
    for (const node of this.#options.nodes()) {
      if (this.#tailed.has(node)) continue;
      this.#tailed.add(node);
      const isStopped = () => this.#isStopped || !this.#options.nodes().includes(node);
      for (const topic of CHECKED_TOPICS) {
        this.#running.push(runTail({ ...this.#readers, isStopped }, node, topic, this.#places));
      }
    }
  }

  #targetsOf(place: number): Targets {
    return new Targets(this.#options.nodes, makeRandom(this.#options.seed * 1_000 + place));
  }

  #producerOptions(producer: number, topic: string): ProducerOptions {
    return {
      ...{ producer, topic, history: this.history, paceMs: this.#options.paceMs },
      targets: this.#targetsOf(producer),
      random: makeRandom(this.#options.seed * 1_000 + 500 + producer),
      isStopped: () => this.#areProducersStopped,
      onAcknowledged: () => this.#noteAck(topic),
      note: (what, { first, count, floor }, more = "") => {
        const ms = Math.round(performance.now() - this.#beganMs);
        const line = { ms, what, topic, producer, first, count, floor, more };
        this.#file.write(`${JSON.stringify(line)}\n`);
      },
    };
  }

  #noteAck(topic: string): void {
    const now = performance.now();
    const gap = now - (this.#lastAckMs.get(topic) ?? now);
    this.#longestGapMs = Math.max(this.#longestGapMs, gap);
    this.#lastAckMs.set(topic, now);
    this.#acks += 1;
  }
}
