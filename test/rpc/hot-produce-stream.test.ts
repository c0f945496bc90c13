import assert from "node:assert/strict";
import { test } from "node:test";
import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  type ProduceRequestSchema,
  ProduceStreamRequestSchema,
  ProduceStreamResponseSchema,
} from "../../src/gen/proglog/v1/log_service_pb.ts";
import { settle } from "../support/sim-clock.ts";
import { Bench, encode, TOPIC } from "./hot-bench.ts";

const batches = (...all: MessageInitShape<typeof ProduceRequestSchema>[]) =>
  encode(ProduceStreamRequestSchema, { batches: all });

test("what comes together is answered together, in order, and no signal is made", async () => {
  const bench = new Bench();
  async function* input() {
    yield [batches({ ...TOPIC, records: [{}] }, { records: [{}, {}] }), batches()];
    yield [batches({ records: [{}] })];
  }
  await bench.produceStream(input());
  assert.equal(bench.end, "OK");
  const found = bench.output.decoded(ProduceStreamResponseSchema);
  const offsets = found.flatMap(({ acknowledgements }) =>
    acknowledgements.map(({ firstOffset }) => Number(firstOffset)),
  );
  assert.deepEqual(offsets, [0, 1, 3]);
  assert.ok(found.length <= 2, `${found.length} messages`);
  assert.equal(bench.call.signalCount, 0);
  bench.assertNothingLeft();
});

test("a broken message is told after the answers to those that came with it", async () => {
  const bench = new Bench();
  const good = batches({ ...TOPIC, records: [{}] });
  async function* input() {
    yield [good, good.subarray(0, good.length - 1), good];
    await new Promise(() => {});
  }
  await bench.produceStream(input());
  assert.equal(bench.end, "MESSAGE_INVALID");
  assert.equal(bench.output.decoded(ProduceStreamResponseSchema)[0]?.acknowledgements.length, 1);
  assert.equal(bench.topic.nextOffset, 1, "nothing after it is taken");
});

test("a batch that is refused is told after the answers before it, with its number", async () => {
  const bench = new Bench();
  async function* input() {
    const wrong = { records: [{}], expectedNextOffset: 9n };
    yield [batches({ ...TOPIC, records: [{}] }, { records: [{}] }), batches(wrong), batches({})];
    await new Promise(() => {});
  }
  await bench.produceStream(input());
  assert.equal(bench.end, "OFFSET_MISMATCH 2");
  const [answer] = bench.output.decoded(ProduceStreamResponseSchema);
  assert.equal(answer?.acknowledgements.length, 2);
});

test("a client that takes no answers is not read from beyond the pipeline", async () => {
  const bench = new Bench({ pipelineBatchesMax: 3 });
  bench.output.isSlow = true;
  let taken = 0;
  async function* input() {
    for (; taken < 100; taken += 1) yield [batches({ ...TOPIC, records: [{}] })];
  }
  await bench.produceStream(input());
  const before = bench.topic.nextOffset;
  assert.ok(before >= 1 && before <= 6, `${before} batches`);
  await settle();
  assert.equal(bench.topic.nextOffset, before);
  bench.output.isSlow = false;
  await bench.output.take();
  assert.equal(bench.topic.nextOffset, 100);
  assert.equal(bench.end, "OK");
});
