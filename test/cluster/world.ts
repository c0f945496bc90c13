import assert from "node:assert/strict";
import type { Node } from "../../src/cluster/node.ts";
import type { Acknowledgement, Topic, TopicSettings } from "../../src/topics/topics.ts";
import type { SimFileSystem } from "../support/sim-file-system.ts";
import { readRecords } from "../support/topic-reads.ts";
import { textOf } from "./harness.ts";

/** A batch that some client sent; its records are `NUMBER:0/SIZE`, `NUMBER:1/SIZE`, ... */
export interface SentBatch {
  readonly number: number;
  readonly size: number;
  readonly producer:
    | { readonly id: string; readonly epoch: number; readonly sequence: number }
    | undefined;
  readonly token: number | undefined;
  /** Set when it was acknowledged, or found after a restart. */
  firstOffset: number | undefined;
  appendTimeUs: number | undefined;
  /** "refused": an error said that nothing was appended. "gone": found missing after a restart. */
  fate: "unknown" | "there" | "refused" | "gone";
}

/** What clients know of one topic. */
export class TopicModel {
  readonly name: string;
  readonly id: number;
  readonly batches: SentBatch[] = [];
  /** Values that the settings may have: one, or more after a change without an answer. */
  settings: TopicSettings[];
  /** The start that was acknowledged or seen, and the highest that was asked for. */
  startMin = 0;
  startMax = 0;
  nextMin = 0;
  tokenAcked = 0;
  tokenAsked = 0;
  hasRetention = false;
  isDeleteAsked = false;
  /** True when it has batches that this world knows nothing of. */
  isForeign = false;

  constructor(name: string, id: number, settings: TopicSettings) {
    this.name = name;
    this.id = id;
    this.settings = [settings];
    this.hasRetention = settings.retentionBytes !== undefined;
  }

  acknowledged(batch: SentBatch, ack: Acknowledgement): void {
    assert.equal(ack.lastOffset - ack.firstOffset + 1, batch.size);
    if (batch.firstOffset !== undefined) {
      assert.equal(ack.firstOffset, batch.firstOffset, `batch ${batch.number} moved`);
    }
    if (batch.appendTimeUs !== undefined) assert.equal(ack.appendTimeUs, batch.appendTimeUs);
    batch.firstOffset = ack.firstOffset;
    batch.appendTimeUs = ack.appendTimeUs;
    batch.fate = "there";
    this.nextMin = Math.max(this.nextMin, ack.lastOffset + 1);
    this.tokenAcked = Math.max(this.tokenAcked, batch.token ?? 0);
  }

  saw(status: { readonly firstOffset: number; readonly nextOffset: number }): void {
    assert.ok(status.firstOffset >= this.startMin, "the start went back");
    assert.ok(status.nextOffset >= this.nextMin, "the end went back");
    this.startMin = status.firstOffset;
    this.nextMin = status.nextOffset;
  }
}

/** All that clients of a node know: the oracle of a simulated run. */
export class World {
  /** By name; of a topic whose creation or deletion had no answer it says so. */
  readonly topics = new Map<string, TopicModel>();
  readonly maybeCreated = new Map<string, TopicSettings>();
  readonly deletedIds = new Set<number>();
  /** Of the last batch that was sent. */
  batchNumber: number;
  /** With `--sync none` a power cut may take the catalogue's entry and leave the folder made for it, empty. */
  mayForgetCreation = false;

  constructor(batchNumber = 0) {
    this.batchNumber = batchNumber;
  }

  nextBatch(): number {
    this.batchNumber += 1;
    return this.batchNumber;
  }

  /** Compares a node that has just started with what is known, and learns what was not. */
  async verify(node: Node, fs: SimFileSystem): Promise<void> {
    this.#verifyCatalogue(node);
    this.#verifyFolders(fs);
    for (const model of this.topics.values()) {
      const topic = node.topics.topic(model.name, model.id);
      verifySettings(topic, model);
      await verifyRecords(topic, model);
    }
  }

  /** Nothing is left of topics that are gone. */
  #verifyFolders(fs: SimFileSystem): void {
    const ids = new Set(["0", ...Array.from(this.topics.values(), ({ id }) => `${id}`)]);
    for (const path of fs.dump().keys()) {
      const [top, id = "", name = ""] = path.split("/");
      if (top !== "topics" || ids.has(id)) continue;
      const isBeginning = this.mayForgetCreation && name.startsWith("checkpoint");
      assert.ok(isBeginning, `"${path}" was left behind`);
    }
  }

  #verifyCatalogue(node: Node): void {
    const { topics: listed } = node.topics.list({ limit: 1000 });
    const byName = new Map(listed.map((info) => [info.name, info]));
    for (const model of this.topics.values()) {
      const info = byName.get(model.name);
      if (info?.id === model.id) continue;
      assert.ok(model.isDeleteAsked, `topic ${model.name} (${model.id}) is gone`);
      this.deletedIds.add(model.id);
      this.topics.delete(model.name);
    }
    for (const info of listed) {
      assert.ok(!this.deletedIds.has(info.id), `topic ${info.name} (${info.id}) came back`);
      const known = this.topics.get(info.name);
      if (known?.id === info.id) continue;
      const asked = this.maybeCreated.get(info.name);
      assert.ok(asked !== undefined, `topic ${info.name} was never created`);
      assert.deepEqual(info.settings, asked);
      this.topics.set(info.name, new TopicModel(info.name, info.id, asked));
    }
    this.maybeCreated.clear();
  }
}

function verifySettings(topic: Topic, model: TopicModel): void {
  const found = topic.info.settings;
  const isKnown = model.settings.some((settings) => isSame(settings, found));
  assert.ok(isKnown, `settings of ${model.name} are ${JSON.stringify(found)}`);
  model.settings = [found];
}

function isSame(left: TopicSettings, right: TopicSettings): boolean {
  const sorted = (settings: TopicSettings) => JSON.stringify(Object.entries(settings).sort());
  return sorted(left) === sorted(right);
}

/** Offsets dense, batches whole, once, where they were acknowledged; times never back. */
export async function verifyRecords(topic: Topic, model: TopicModel): Promise<void> {
  const status = topic.status();
  const { firstOffset, nextOffset } = status;
  model.saw(status);
  if (!model.hasRetention && !model.isForeign) {
    assert.ok(firstOffset <= model.startMax, `${model.name} lost records below ${firstOffset}`);
  }
  const found = await readBatches(topic, firstOffset, nextOffset);
  const byNumber = new Map(model.batches.map((batch) => [batch.number, batch]));
  for (const [number, place] of found) {
    const batch = byNumber.get(number);
    if (batch === undefined && model.isForeign) continue;
    assert.ok(batch !== undefined, `${model.name} has batch ${number}, which nobody sent there`);
    assert.ok(batch.fate !== "refused", `batch ${number} was refused, and is there`);
    assert.ok(batch.fate !== "gone", `batch ${number} came back`);
    if (batch.firstOffset !== undefined) assert.equal(place.firstOffset, batch.firstOffset);
    batch.firstOffset = place.firstOffset;
    batch.appendTimeUs ??= place.appendTimeUs;
    assert.equal(batch.appendTimeUs, place.appendTimeUs);
    batch.fate = "there";
    model.tokenAcked = Math.max(model.tokenAcked, batch.token ?? 0);
  }
  for (const batch of model.batches) {
    if (found.has(batch.number)) continue;
    const end = batch.firstOffset === undefined ? 0 : batch.firstOffset + batch.size;
    if (batch.fate === "there") {
      assert.ok(end <= firstOffset, `batch ${batch.number} of ${model.name} is lost`);
    }
    // Below the start nobody can tell any more; otherwise it will never be there.
    if (batch.fate === "unknown" && firstOffset === 0) batch.fate = "gone";
  }
}

async function readBatches(topic: Topic, firstOffset: number, nextOffset: number) {
  const found = new Map<number, { firstOffset: number; appendTimeUs: number }>();
  let lastTimeUs = 0;
  let wanted: { number: number; place: number; size: number } | undefined;
  for (let at = firstOffset; at < nextOffset; ) {
    const result = await readRecords(topic, at, { recordsMax: 50, bytesMax: 4000 });
    assert.ok(result.records.length > 0);
    for (const record of result.records) {
      assert.equal(record.offset, at, "offsets have a gap");
      assert.ok(record.appendTimeUs >= lastTimeUs, "time goes back");
      lastTimeUs = record.appendTimeUs;
      const [, number = 0, place = 0, size = 0] =
        /^(\d+):(\d+)\/(\d+)/.exec(textOf(record.body))?.map(Number) ??
        assert.fail("no record of ours");
      if (wanted !== undefined)
        assert.deepEqual({ number, place, size }, wanted, "a batch is torn");
      else if (at !== firstOffset) assert.equal(place, 0, "a batch is torn");
      const first = { firstOffset: at - place, appendTimeUs: record.appendTimeUs };
      const known = found.get(number);
      if (known === undefined) found.set(number, first);
      else assert.deepEqual(known, first, `batch ${number} is there twice`);
      wanted = place + 1 < size ? { number, place: place + 1, size } : undefined;
      at += 1;
    }
    assert.equal(result.resumeOffset, at);
  }
  assert.equal(wanted, undefined, "the last batch is torn");
  return found;
}
