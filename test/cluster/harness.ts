import { SILENT_LOGGER } from "../../src/base/log.ts";
import { Node } from "../../src/cluster/node.ts";
import type { NodeOptions } from "../../src/cluster/node-options.ts";
import type { NodeSettings } from "../../src/cluster/node-settings.ts";
import { DEFAULT_TOPIC_SETTINGS } from "../../src/topics/settings.ts";
import { makeRandom, SeededRandom } from "../support/prng.ts";
import { TEST_CORE } from "../support/raft-core.ts";
import { SimClock } from "../support/sim-clock.ts";
import { SimFileSystem } from "../support/sim-file-system.ts";
import { readToEnd } from "../support/topic-reads.ts";

/** Small, so that a short test rolls segments, recycles journal files and writes checkpoints. */
export const SMALL: Partial<NodeSettings> = {
  journalFileBytes: 64 * 1024,
  checkpointBytes: 64 * 1024,
  journalBytesMax: 256 * 1024,
  writeDelayMs: 0,
  topicDefaults: { ...DEFAULT_TOPIC_SETTINGS, maxSegmentBytes: 1024, maxSegmentRecords: 16 },
};

export interface Life {
  readonly node: Node;
  readonly fs: SimFileSystem;
  readonly clock: SimClock;
  readonly failures: unknown[];
  /** True while the disk may be full or broken, and calls may say so. */
  isFaulty: boolean;
}

export interface LifeOptions {
  readonly fs?: SimFileSystem;
  readonly seed?: number;
  readonly settings?: Partial<NodeSettings>;
  readonly clock?: SimClock;
}

/** What a test may change of it: the process `seed`, whose predecessors are all gone. */
export function nodeOptions(fs: SimFileSystem, seed: number): NodeOptions {
  return {
    fs,
    clock: new SimClock(),
    random: new SeededRandom(seed),
    logger: SILENT_LOGGER,
    core: TEST_CORE,
    settings: SMALL,
    identity: { bootId: "boot", pid: seed, startTime: `${seed}` },
    isAlive: () => false,
    onFailure: () => {},
  };
}

/** Starts a node on a simulated disk; nothing of an earlier life is alive. */
export async function startNode(options: LifeOptions = {}): Promise<Life> {
  const { seed = 1, clock = new SimClock() } = options;
  const fs = options.fs ?? new SimFileSystem(makeRandom(seed));
  const failures: unknown[] = [];
  const node = await Node.open({
    ...nodeOptions(fs, seed),
    clock,
    settings: { ...SMALL, ...options.settings },
    onFailure: (error) => failures.push(error),
  });
  return { node, fs, clock, failures, isFaulty: false };
}

export function texts(...values: string[]): Uint8Array[] {
  return values.map((value) => new TextEncoder().encode(value));
}

export function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

/** All records of a topic, read in small steps. */
export async function readAll(node: Node, name: string): Promise<string[]> {
  const topic = node.topics.topic(name);
  const { firstOffset } = topic.status();
  const records = await readToEnd(topic, firstOffset, { recordsMax: 7, bytesMax: 600 });
  return records.map(({ body }) => textOf(body));
}
