import assert from "node:assert/strict";
import { test } from "node:test";
import { hasReason, ProglogError } from "../../src/base/errors.ts";
import type { ProduceBatch, Topic } from "../../src/topics/topics.ts";
import { integerFrom, makeRandom, seedsFromEnv } from "../support/prng.ts";
import { settle } from "../support/sim-clock.ts";
import { SimCrash, SimFileSystem } from "../support/sim-file-system.ts";
import type { Life } from "./harness.ts";
import { liveThrough, tryToStart } from "./lives.ts";
import { type SentBatch, TopicModel, verifyRecords } from "./world.ts";

const LIVES = 6;
const CHECKPOINT = "topics/1/checkpoint";

/** Small, so that lives have checkpoints in their middle. */
const SETTINGS = { checkpointBytes: 6_000 };

interface Session {
  readonly id: string;
  readonly epoch: number;
  next: number;
  readonly sent: SentBatch[];
}

/** How a life appends: what is not here it does without. */
interface Habits {
  readonly fencing: boolean;
  readonly oldProducers: boolean;
  readonly newProducers: boolean;
}

const counts = { refused: 0, opened: 0 };

// Goal: a lost checkpoint never silently costs an acknowledged record, brings back a refused one, or moves one.
// Method: bursts of all kinds of commands on a simulated disk, ended by a clean stop, a kill or a power cut; the
// checkpoint is deleted; then either the topic is set aside, untouched, and is whole with its checkpoint, or an
// oracle finds what the clients were told. Replay one: SEED=17 node --test FILE
for (const seed of seedsFromEnv(120)) {
  test(`without its checkpoint a topic is as clients know it, or is set aside (seed ${seed})`, async () => {
    await new Lives(makeRandom(seed * 6_151)).run();
  });
}

test("the seeds came to both", () => {
  if (process.env["SEED"] !== undefined) return;
  const { refused, opened } = counts;
  assert.ok(refused > 50 && opened > 50, JSON.stringify(counts));
});

class Lives {
  readonly #random: () => number;
  readonly #model = new TopicModel("default", 1, {});
  #sessions: Session[] = [];
  #fs: SimFileSystem;
  #number = 0;

  constructor(random: () => number) {
    this.#random = random;
    this.#fs = new SimFileSystem(random);
  }

  async run(): Promise<void> {
    for (let number = 1; number <= LIVES; number += 1) {
      const isStopped = number > 1 && this.#random() < 0.4;
      const last = integerFrom(this.#random, 200, 2_000);
      if (isStopped) {
        this.#fs.onStep((step) => {
          if (step === last) throw new SimCrash();
        });
      }
      const { life, error } = await tryToStart(this.#fs, { seed: number, settings: SETTINGS });
      if (life !== undefined) await this.#live(life);
      else if (!this.#fs.isStopped) throw error;
      if (this.#random() < 0.5) this.#fs.crash();
      this.#fs = this.#fs.reopen();
      if (number > 1 && this.#random() < 0.6) await this.#lose(number * 100);
    }
  }

  async #live(life: Life): Promise<void> {
    const { node, clock } = life;
    const habits = {
      fencing: this.#random() < 0.25,
      oldProducers: this.#random() < 0.25,
      newProducers: this.#random() < 0.6,
    };
    const old = this.#sessions;
    if (!habits.oldProducers) this.#sessions = [];
    await liveThrough(life, async () => {
      const topic = node.topics.topic("default");
      await verifyRecords(topic, this.#model);
      for (let left = integerFrom(this.#random, 1, 12); left > 0; left -= 1) {
        const burst = Array.from({ length: integerFrom(this.#random, 1, 5) }, () =>
          this.#act(life, topic, habits),
        );
        await Promise.all(burst);
        // So that time goes back too.
        clock.jumpWall(integerFrom(this.#random, -2_000, 3_000));
        if (this.#random() < 0.3) await settle();
      }
      if (this.#random() < 0.3) await node.close();
    });
    this.#sessions = [...old.slice(-2), ...this.#sessions.slice(-2)];
  }

  async #act(life: Life, topic: Topic, habits: Habits): Promise<void> {
    const dice = this.#random();
    const { firstOffset, nextOffset } = topic.status();
    if (dice < 0.08) {
      const all = this.#random() < 0.3;
      const before = all ? nextOffset : integerFrom(this.#random, firstOffset, nextOffset);
      this.#model.startMax = Math.max(this.#model.startMax, before);
      await answerOf(topic.trim(before));
    } else if (dice < 0.12) {
      const maxSegmentRecords = integerFrom(this.#random, 2, 20);
      await answerOf(life.node.topics.update("default", { maxSegmentRecords }, []));
    } else if (dice < 0.2 && habits.newProducers) {
      const id = `p${integerFrom(this.#random, 1, 3)}`;
      const { value } = await answerOf(topic.openProducer(id));
      if (value !== undefined) {
        this.#sessions.push({ id, epoch: value.epoch, next: 0, sent: [] });
      }
    } else if (dice < 0.55) await this.#produceAs(topic);
    else {
      const fencingToken = habits.fencing ? integerFrom(this.#random, 1, 6) : undefined;
      const guess = nextOffset + integerFrom(this.#random, 0, 2);
      const expectedNextOffset = this.#random() < 0.3 ? guess : undefined;
      await this.#send(topic, this.#newBatch(undefined), { fencingToken, expectedNextOffset });
    }
  }

  /** As some producer: the next batch, one again, or one too far. */
  async #produceAs(topic: Topic): Promise<void> {
    const session = this.#sessions[integerFrom(this.#random, 0, this.#sessions.length - 1)];
    if (session === undefined) {
      await this.#send(topic, this.#newBatch(undefined), {});
      return;
    }
    const { id, epoch, sent } = session;
    const again = sent[integerFrom(this.#random, 0, sent.length)];
    if (again !== undefined && this.#random() < 0.3) {
      await this.#send(topic, again, {});
      return;
    }
    if (this.#random() < 0.1) {
      await this.#send(topic, this.#newBatch({ id, epoch, sequence: session.next + 3 }), {});
      return;
    }
    const batch = this.#newBatch({ id, epoch, sequence: session.next });
    session.next += 1;
    const isThere = await this.#send(topic, batch, {});
    if (isThere) sent.push(batch);
  }

  #newBatch(producer: SentBatch["producer"]): SentBatch {
    this.#number += 1;
    const batch: SentBatch = {
      number: this.#number,
      size: integerFrom(this.#random, 1, 4),
      producer,
      token: undefined,
      firstOffset: undefined,
      appendTimeUs: undefined,
      fate: "unknown",
    };
    this.#model.batches.push(batch);
    return batch;
  }

  async #send(
    topic: Topic,
    batch: SentBatch,
    conditions: Omit<ProduceBatch, "records">,
  ): Promise<boolean> {
    const { number, size, producer } = batch;
    const filler = "x".repeat(number % 60);
    const records = Array.from({ length: size }, (_, place) =>
      new TextEncoder().encode(`${number}:${place}/${size} ${filler}`),
    );
    const { value, error } = await answerOf(topic.produce({ records, producer, ...conditions }));
    if (value !== undefined) this.#model.acknowledged(batch, value);
    else if (error !== undefined && batch.fate === "unknown") batch.fate = "refused";
    return value !== undefined;
  }

  /** Deletes the checkpoint, starts, and compares. */
  async #lose(seed: number): Promise<void> {
    const files = this.#fs.dump();
    const kept = files.get(CHECKPOINT);
    if (kept === undefined) return;
    files.delete(CHECKPOINT);
    const lost = SimFileSystem.fromDump(this.#random, files);
    const { life, error } = await tryToStart(lost, { seed, settings: SETTINGS });
    if (life === undefined) throw error;
    const topic = openOf(life);
    if (topic !== undefined) {
      // Trims may be forgotten, and settings.
      this.#model.startMin = 0;
      await verifyRecords(topic, this.#model);
      counts.opened += 1;
      if (this.#random() < 0.3) await liveThrough(life, () => life.node.close());
      this.#fs = lost.reopen();
      return;
    }
    counts.refused += 1;
    await liveThrough(life, () => life.node.close());
    const left = lost.dump();
    for (const [path, bytes] of files) {
      if (path.startsWith("topics/1/")) assert.deepEqual(left.get(path), bytes, path);
    }
    // With its checkpoint the next life must find all of it.
    this.#fs = SimFileSystem.fromDump(this.#random, new Map([...left, [CHECKPOINT, kept]]));
  }
}

function openOf({ node }: Life): Topic | undefined {
  try {
    return node.topics.topic("default");
  } catch (error) {
    assert.ok(hasReason(error, "STORE_CORRUPT"), `${error}`);
    return undefined;
  }
}

/** Neither when nobody can tell what came of it. */
async function answerOf<T>(work: Promise<T>): Promise<{ value?: T; error?: ProglogError }> {
  try {
    return { value: await work };
  } catch (error) {
    if (error instanceof SimCrash) return {};
    assert.ok(error instanceof ProglogError, `not one of our errors: ${error}`);
    return error.metadata["outcome"] === "unknown" ? {} : { error };
  }
}
