import assert from "node:assert/strict";
import { ProglogError } from "../../src/base/errors.ts";
import type { Topic, TopicSettings } from "../../src/topics/topics.ts";
import { integerFrom } from "../support/prng.ts";
import { attempt, type Failed } from "./attempt.ts";
import type { Life } from "./harness.ts";
import { type SentBatch, TopicModel, type World } from "./world.ts";

/** What a client remembers of its producer on one topic. */
interface Session {
  epoch: number;
  sequence: number;
  /** Sent and not answered: to be sent again before anything else. */
  open: SentBatch | undefined;
  /** Answered, the last ones, to be sent again now and then. */
  answered: SentBatch[];
  staleEpoch: number | undefined;
}

const NAMES = ["alpha", "beta", "gamma"];

const IMPOSSIBLE_OFFSET = 1_000_000;

/** Errors that a client may meet although nothing is wrong with the node. */
const EXPECTED = new Set(["DRAINING", "DISK_FAILED", "DISK_FULL", "INTERNAL"]);

/** One client: does one thing after the other, and tells the world what it learns. */
export class Client {
  readonly #id: string;
  readonly #world: World;
  readonly #random: () => number;
  readonly #sessions = new Map<number, Session>();

  constructor(id: string, world: World, random: () => number) {
    this.#id = id;
    this.#world = world;
    this.#random = random;
  }

  /** Does `count` things, as long as the machine runs. */
  async run(life: Life, count: number): Promise<void> {
    for (let left = count; left > 0 && !life.fs.isStopped; left -= 1) {
      await this.#act(life);
    }
  }

  async #act(life: Life): Promise<void> {
    const models = [...this.#world.topics.values()];
    const model = models[integerFrom(this.#random, 0, models.length - 1)];
    const dice = this.#random();
    if (dice < 0.04) await this.#create(life);
    else if (dice < 0.12) await this.#pause(life);
    else if (model === undefined) return;
    else if (dice < 0.15) await this.#delete(life, model);
    else if (dice < 0.2) await this.#update(life, model);
    else if (dice < 0.26) await this.#trim(life, model);
    else if (dice < 0.3) this.#look(life, model);
    else if (dice < 0.34) await this.#openProducer(life, model);
    else if (dice < 0.42) await this.#burst(life, model);
    else if (dice < 0.6) await this.#produceOnce(life, model);
    else await this.#produce(life, model);
  }

  #pause({ clock }: Life): Promise<void> {
    return new Promise((resolve) => {
      clock.schedule(integerFrom(this.#random, 1, 6_000), resolve);
    });
  }

  async #create({ node }: Life): Promise<void> {
    const name = NAMES[integerFrom(this.#random, 0, NAMES.length - 1)] ?? "";
    if (this.#world.topics.has(name) || this.#world.maybeCreated.has(name)) return;
    const settings = this.#random() < 0.3 ? { retentionBytes: 3_000 } : {};
    this.#world.maybeCreated.set(name, settings);
    const result = await attempt(node.topics.create(name, settings));
    if (result.error?.isUnknown) return;
    this.#world.maybeCreated.delete(name);
    if (result.value === undefined) return;
    assert.ok(!this.#world.deletedIds.has(result.value.id), "an id was given twice");
    this.#world.topics.set(name, new TopicModel(name, result.value.id, settings));
  }

  async #delete({ node }: Life, model: TopicModel): Promise<void> {
    if (model.name === "default") return;
    model.isDeleteAsked = true;
    const result = await attempt(node.topics.delete(model.name, model.id));
    const isGone = result.error === undefined || result.error.reason === "TOPIC_NOT_FOUND";
    if (!isGone && result.error?.reason !== "TOPIC_REPLACED") return;
    this.#world.deletedIds.add(model.id);
    if (this.#world.topics.get(model.name) === model) this.#world.topics.delete(model.name);
  }

  async #update(life: Life, model: TopicModel): Promise<void> {
    if (model.settings.length > 1) return;
    const maxSegmentRecords = integerFrom(this.#random, 2, 40);
    const [before = {}] = model.settings;
    const after: TopicSettings = { ...before, maxSegmentRecords };
    model.settings = [before, after];
    const work = () => life.node.topics.update(model.name, { maxSegmentRecords }, []);
    const result = await attempt(Promise.resolve().then(work));
    if (result.value !== undefined) model.settings = [after];
    else if (!result.error?.isUnknown) model.settings = [before];
    this.#check(life, model, result.error, []);
  }

  async #trim(life: Life, model: TopicModel): Promise<void> {
    const topic = this.#topic(life, model);
    if (topic === undefined) return;
    const { firstOffset, nextOffset } = topic.status();
    const all = this.#random() < 0.2;
    const before = all ? nextOffset : integerFrom(this.#random, firstOffset, nextOffset);
    model.startMax = Math.max(model.startMax, before);
    const result = await attempt(topic.trim(before));
    if (result.value !== undefined) {
      assert.ok(result.value.firstOffset >= before);
      model.startMin = Math.max(model.startMin, before);
    }
    this.#check(life, model, result.error, []);
  }

  #look(life: Life, model: TopicModel): void {
    const topic = this.#topic(life, model);
    if (topic !== undefined) model.saw(topic.status());
  }

  async #openProducer(life: Life, model: TopicModel): Promise<void> {
    const topic = this.#topic(life, model);
    if (topic === undefined) return;
    const result = await attempt(topic.openProducer(this.#id));
    this.#check(life, model, result.error, []);
    const before = this.#sessions.get(model.id);
    // Without an answer nobody knows which epoch is the present one: the next try makes a new one.
    this.#sessions.delete(model.id);
    if (result.value === undefined) return;
    const { epoch } = result.value;
    assert.ok(before === undefined || epoch > before.epoch, "an epoch was given twice");
    this.#sessions.set(model.id, {
      epoch,
      sequence: 0,
      open: undefined,
      answered: [],
      staleEpoch: before?.epoch,
    });
  }

  /** Without a producer: conditions instead, or none. */
  async #produceOnce(life: Life, model: TopicModel): Promise<void> {
    const topic = this.#topic(life, model);
    if (topic === undefined) return;
    const dice = this.#random();
    const token = dice < 0.3 ? integerFrom(this.#random, 1, 5) : undefined;
    const expectedNextOffset = dice > 0.6 ? topic.status().nextOffset : undefined;
    const { tokenAcked } = model;
    const batch = this.#newBatch(model, undefined, token);
    const result = await this.#send(life, model, topic, batch, { expectedNextOffset });
    if (result === "FENCED") assert.ok((token ?? 0) < model.tokenAsked, "fenced by nobody");
    if (result === "there") {
      if (expectedNextOffset !== undefined) assert.equal(batch.firstOffset, expectedNextOffset);
      assert.ok(token === undefined || token >= tokenAcked, "a lower fencing token was let in");
    }
  }

  /** Several at once, so that they share entries of the journal; some of them cannot be appended. */
  async #burst(life: Life, model: TopicModel): Promise<void> {
    const topic = this.#topic(life, model);
    if (topic === undefined) return;
    const sends = Array.from({ length: integerFrom(this.#random, 2, 6) }, () => {
      const batch = this.#newBatch(model, undefined, undefined);
      const expectedNextOffset = this.#random() < 0.3 ? IMPOSSIBLE_OFFSET : undefined;
      return this.#send(life, model, topic, batch, { expectedNextOffset }).then((result) => {
        if (expectedNextOffset !== undefined) assert.notEqual(result, "there");
        return batch;
      });
    });
    const batches = await Promise.all(sends);
    const offsets = batches.flatMap(({ firstOffset }) => firstOffset ?? []);
    assert.deepEqual(
      offsets,
      offsets.toSorted((left, right) => left - right),
      "not in order",
    );
  }

  /** With a producer: what had no answer is sent again first. */
  async #produce(life: Life, model: TopicModel): Promise<void> {
    const topic = this.#topic(life, model);
    const session = this.#sessions.get(model.id);
    if (topic === undefined) return;
    if (session === undefined) {
      await this.#openProducer(life, model);
      return;
    }
    if (session.staleEpoch !== undefined && this.#random() < 0.1) {
      await this.#produceStale(life, model, topic, session.staleEpoch);
      return;
    }
    const again = session.answered[integerFrom(this.#random, 0, 20)];
    if (session.open === undefined && again !== undefined && this.#random() < 0.3) {
      const result = await this.#send(life, model, topic, again, {}, "duplicate");
      assert.notEqual(result, "SEQUENCE_GAP");
      return;
    }
    const { epoch, sequence } = session;
    const wasOpen = session.open;
    const batch = wasOpen ?? this.#newBatch(model, { id: this.#id, epoch, sequence }, undefined);
    session.open = batch;
    const fate = batch.fate;
    const result = await this.#send(life, model, topic, batch, {}, wasOpen && fate);
    if (result === "unknown") return;
    session.open = undefined;
    if (result !== "there") return;
    session.sequence += 1;
    session.answered.unshift(batch);
    session.answered.length = Math.min(session.answered.length, 32);
  }

  async #produceStale(life: Life, model: TopicModel, topic: Topic, epoch: number): Promise<void> {
    const batch = this.#newBatch(model, { id: this.#id, epoch, sequence: 0 }, undefined);
    const result = await this.#send(life, model, topic, batch, {});
    assert.notEqual(result, "there", "an old epoch was let in");
  }

  #newBatch(
    model: TopicModel,
    producer: SentBatch["producer"],
    token: number | undefined,
  ): SentBatch {
    const batch: SentBatch = {
      number: this.#world.nextBatch(),
      size: integerFrom(this.#random, 1, 5),
      producer,
      token,
      firstOffset: undefined,
      appendTimeUs: undefined,
      fate: "unknown",
    };
    model.batches.push(batch);
    model.tokenAsked = Math.max(model.tokenAsked, token ?? 0);
    return batch;
  }

  /** @param before what is known of an earlier try of the same batch */
  async #send(
    life: Life,
    model: TopicModel,
    topic: Topic,
    batch: SentBatch,
    conditions: { readonly expectedNextOffset?: number | undefined },
    before?: SentBatch["fate"] | "duplicate" | undefined,
  ): Promise<string> {
    const { number, size, producer, token: fencingToken } = batch;
    const filler = "x".repeat(number % 90);
    const records = Array.from({ length: size }, (_, place) =>
      new TextEncoder().encode(`${number}:${place}/${size} ${filler}`),
    );
    const result = await attempt(topic.produce({ records, producer, fencingToken, ...conditions }));
    if (result.value !== undefined) {
      model.acknowledged(batch, result.value);
      if (before === "duplicate" || before === "there") assert.ok(result.value.duplicate);
      if (before === "gone") assert.ok(!result.value.duplicate);
      return "there";
    }
    const allowed = ["OFFSET_MISMATCH", "FENCED", "PRODUCER_FENCED"];
    this.#check(life, model, result.error, allowed);
    if (result.error?.isUnknown) return "unknown";
    if (before === undefined) batch.fate = "refused";
    // A retry that is refused for want of the disk says nothing of the first try.
    else if (before !== "duplicate" && EXPECTED.has(result.error?.reason ?? "")) return "unknown";
    return result.error?.reason ?? "";
  }

  #topic({ node }: Life, model: TopicModel): Topic | undefined {
    try {
      const topic = node.topics.topic(model.name, model.id);
      topic.status();
      return topic;
    } catch (error) {
      assert.ok(error instanceof ProglogError);
      if (!EXPECTED.has(error.reason)) assert.ok(model.isDeleteAsked, `${error}`);
      return undefined;
    }
  }

  /** Only what may happen has happened. */
  #check(life: Life, model: TopicModel, error: Failed | undefined, allowed: string[]): void {
    if (error === undefined || life.fs.isStopped) return;
    if (allowed.includes(error.reason)) return;
    if (model.isDeleteAsked && /^TOPIC_(NOT_FOUND|REPLACED)$/.test(error.reason)) return;
    if (life.isFaulty && EXPECTED.has(error.reason)) return;
    assert.fail(`unexpected ${error.reason}: ${error.message}`);
  }
}
