import assert from "node:assert/strict";
import { test } from "node:test";
import { ProglogError } from "../../src/base/errors.ts";
import {
  type BatchSource,
  ProducePipeline,
  type Submitted,
} from "../../src/rpc/produce-pipeline.ts";
import type { Acknowledgement } from "../../src/topics/topics.ts";
import { FakeCall } from "../support/fake-call.ts";
import { settle } from "../support/sim-clock.ts";

/** Batches are numbers; each is answered, or refused, when the test says so. */
class Bench {
  readonly submitted: number[] = [];
  readonly draining = new AbortController();
  readonly call = new FakeCall();
  readonly pipeline: ProducePipeline<number>;
  readonly #settle = new Map<number, PromiseWithResolvers<Acknowledgement>>();

  constructor({ batchesMax = 100, bytesMax = 1000 } = {}) {
    this.pipeline = new ProducePipeline<number>({
      batchesMax,
      bytesMax,
      call: this.call,
      draining: this.draining.signal,
      submit: (batch) => this.#submit(batch),
    });
  }

  answer(...batches: number[]): Promise<void> {
    for (const batch of batches) this.#settle.get(batch)?.resolve(acknowledgementOf(batch));
    return settle();
  }

  refuse(batch: number, error: unknown): Promise<void> {
    this.#settle.get(batch)?.reject(error);
    return settle();
  }

  #submit(batch: number): Submitted {
    if (batch < 0) throw new ProglogError("BATCH_EMPTY", "Nothing to append");
    this.submitted.push(batch);
    const settled = Promise.withResolvers<Acknowledgement>();
    this.#settle.set(batch, settled);
    return { answer: settled.promise, byteCount: 10 };
  }
}

function acknowledgementOf(batch: number): Acknowledgement {
  return {
    firstOffset: batch,
    lastOffset: batch,
    appendTimeUs: 0,
    durability: "synced-one",
    duplicate: false,
  };
}

function sourceOf(batches: readonly number[]): BatchSource<number> {
  const rest = [...batches];
  return { next: () => rest.shift() };
}

/** Messages that the test sends one by one. */
function source() {
  const messages: (readonly number[])[] = [];
  let isEnded = false;
  let wake = () => {};
  let taken = 0;
  async function* read() {
    for (;;) {
      const message = messages.shift();
      if (message !== undefined) {
        taken += 1;
        yield sourceOf(message);
      } else if (isEnded) return;
      else await new Promise<void>((resolve) => (wake = resolve));
    }
  }
  return {
    read: read(),
    get taken() {
      return taken;
    },
    send(...batches: number[]) {
      messages.push(batches);
      wake();
      return settle();
    },
    end() {
      isEnded = true;
      wake();
      return settle();
    },
  };
}

/** A stream whose client has asked for its first answers. */
function begin(limits = {}) {
  const bench = new Bench(limits);
  const input = source();
  const output = bench.pipeline.run(input.read);
  return { bench, input, output, first: output.next() };
}

const offsets = (found: IteratorResult<Acknowledgement[]>) =>
  found.done === true ? "end" : found.value.map(({ firstOffset }) => firstOffset);

test("batches are in flight together, and answered in order, as many as are due", async () => {
  const { bench, input, output, first } = begin();
  await input.send(0, 1);
  await input.send(2);
  assert.deepEqual(bench.submitted, [0, 1, 2]);
  await bench.answer(1);
  await bench.answer(0);
  assert.deepEqual(offsets(await first), [0, 1]);
  const second = output.next();
  await bench.answer(2);
  assert.deepEqual(offsets(await second), [2]);
  const last = output.next();
  await input.end();
  assert.equal(offsets(await last), "end");
});

test("what does not fit waits with the client, not with the server", async () => {
  const { bench, input, first } = begin({ batchesMax: 2 });
  for (let batch = 0; batch < 6; batch += 1) await input.send(batch);
  assert.deepEqual(bench.submitted, [0, 1]);
  assert.equal(input.taken, 3);
  await bench.answer(0, 1);
  assert.deepEqual(offsets(await first), [0, 1]);
  await settle();
  assert.deepEqual(bench.submitted, [0, 1, 2, 3]);
  const large = new Bench({ bytesMax: 15 });
  const more = source();
  void large.pipeline.run(more.read).next();
  for (let batch = 0; batch < 6; batch += 1) await more.send(batch);
  assert.deepEqual(large.submitted, [0, 1]);
});

test("answers that nobody reads hold up the batches behind them", async () => {
  const { bench, input, first } = begin({ batchesMax: 2 });
  await input.send(0);
  await bench.answer(0);
  await first; // and then the client stops reading
  for (let batch = 1; batch < 9; batch += 1) await input.send(batch);
  await bench.answer(1, 2, 3, 4, 5, 6, 7, 8);
  assert.deepEqual(bench.submitted, [0, 1, 2]);
});

test("a refused batch ends the stream after the answers before it", async () => {
  const { bench, input, output, first } = begin();
  await input.send(0, 1, 2);
  await bench.refuse(1, new ProglogError("OFFSET_MISMATCH", "Not now", { metadata: { a: "b" } }));
  await input.send(3);
  assert.deepEqual(bench.submitted, [0, 1, 2], "nothing is begun after a refusal");
  await bench.answer(0);
  assert.deepEqual(offsets(await first), [0]);
  await assert.rejects(output.next(), (thrown) => {
    assert.ok(thrown instanceof ProglogError);
    assert.deepEqual(thrown.metadata, { a: "b", batchNumber: "1" });
    return thrown.reason === "OFFSET_MISMATCH";
  });
});

test("a batch that is wrong in itself ends the stream in the same way", async () => {
  const { bench, input, output, first } = begin();
  await input.send(0, -1, 2);
  assert.deepEqual(bench.submitted, [0]);
  await bench.answer(0);
  assert.deepEqual(offsets(await first), [0]);
  await assert.rejects(output.next(), { reason: "BATCH_EMPTY", metadata: { batchNumber: "1" } });
});

/** The batches 0 and 1 of `input` are answered, then it ends with `broken`. */
async function answersThenRejects(
  bench: Bench,
  input: Parameters<Bench["pipeline"]["run"]>[0],
  broken: Error,
): Promise<void> {
  const output = bench.pipeline.run(input);
  const first = output.next();
  await settle();
  await bench.answer(0, 1);
  assert.deepEqual(offsets(await first), [0, 1]);
  await assert.rejects(output.next(), broken);
}

test("an error of the client's side comes after the answers", async () => {
  const bench = new Bench();
  const broken = new Error("cut off");
  async function* input() {
    yield sourceOf([0, 1]);
    throw broken;
  }
  await answersThenRejects(bench, input(), broken);
});

test("a drain answers what is under way, then ends the stream", async () => {
  const { bench, input, output, first } = begin();
  await input.send(0, 1);
  bench.draining.abort(new ProglogError("DRAINING", "Stopping"));
  await input.send(2);
  assert.deepEqual(bench.submitted, [0, 1]);
  await bench.answer(0, 1);
  assert.deepEqual(offsets(await first), [0, 1]);
  await assert.rejects(output.next(), { reason: "DRAINING", metadata: { batchNumber: "2" } });
});

test("a deadline ends the stream at once, and what was submitted may still be appended", async () => {
  const { bench, input, output, first } = begin();
  await input.send(0, 1, 2);
  await bench.answer(0);
  assert.deepEqual(offsets(await first), [0]);
  const refused = assert.rejects(output.next(), {
    reason: "DEADLINE_EXCEEDED",
    metadata: { a: "b", outcome: "unknown", batchNumber: "1" },
  });
  bench.call.abort(new ProglogError("DEADLINE_EXCEEDED", "Too long", { metadata: { a: "b" } }));
  await input.send(3);
  await refused;
  assert.deepEqual(bench.submitted, [0, 1, 2], "nothing is begun after it");
  assert.equal(bench.call.listenerCount, 0);
});

test("an error in the middle of what came together ends the input after what was before it", async () => {
  const bench = new Bench();
  const broken = new Error("no batch");
  const rest = [0, 1];
  async function* input() {
    yield {
      next() {
        if (rest.length === 0) throw broken;
        return rest.shift();
      },
    };
  }
  await answersThenRejects(bench, input(), broken);
});

test("a refusal that is no operating error passes as it is", async () => {
  const { bench, input, first } = begin();
  await input.send(0);
  const defect = new Error("a defect");
  const failed = assert.rejects(first, defect);
  await bench.refuse(0, defect);
  await failed;
});
