import assert from "node:assert/strict";
import { SILENT_LOGGER } from "../../src/base/log.ts";
import { Node } from "../../src/cluster/node.ts";
import { makeRandom } from "../support/prng.ts";
import { SimClock } from "../support/sim-clock.ts";
import { SimFileSystem } from "../support/sim-file-system.ts";
import { type Life, nodeOptions, startNode, texts } from "./harness.ts";

export interface Started {
  readonly node: Node;
  readonly messages: string[];
  readonly disk: SimFileSystem;
  readonly clock: SimClock;
}

/** Starts a node on a disk with `files`, and keeps what it warns of. */
export async function startOn(files: ReadonlyMap<string, Uint8Array>): Promise<Started> {
  const disk = SimFileSystem.fromDump(makeRandom(9), files);
  const messages: string[] = [];
  const keep = (message: string) => {
    messages.push(message);
  };
  const logger = { ...SILENT_LOGGER, warn: keep, error: keep };
  const clock = new SimClock();
  const node = await Node.open({ ...nodeOptions(disk, 99), logger, clock });
  return { node, messages, disk, clock };
}

/** A node with 30 batches of 2 records and a producer, checkpointed and stopped. */
export async function stoppedNode(): Promise<{
  life: Life;
  files: Map<string, Uint8Array>;
  epoch: number;
}> {
  const life = await startNode();
  const topic = life.node.topics.topic("default");
  const { epoch } = await topic.openProducer("p");
  for (let at = 0; at < 30; at += 1) {
    const producer = { id: "p", epoch, sequence: at };
    await topic.produce({ records: texts(`${at}a`, `${at}b`), producer, fencingToken: 5 });
  }
  await life.node.close();
  return { life, files: life.fs.dump(), epoch };
}

export function expectedTexts(batches: number): string[] {
  return Array.from({ length: batches }, (_, at) => [`${at}a`, `${at}b`]).flat();
}

export function flip(files: Map<string, Uint8Array>, path: string, at: number): void {
  const bytes = files.get(path)?.slice() ?? assert.fail(`no ${path}`);
  bytes[at] = (bytes[at] ?? 0) ^ 0x10;
  files.set(path, bytes);
}
