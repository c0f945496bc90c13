import assert from "node:assert/strict";
import { test } from "node:test";
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { concat } from "../../src/base/bytes.ts";
import { ProglogError } from "../../src/base/errors.ts";
import {
  ConsumeRequestSchema,
  ConsumeResponseSchema,
  ConsumeStreamRequestSchema,
  ConsumeStreamResponseSchema,
  ProduceRequestSchema,
  ProduceResponseSchema,
  ProduceStreamRequestSchema,
  ProduceStreamResponseSchema,
} from "../../src/gen/proglog/v1/log_service_pb.ts";
import { AnswerBudget, type AnswerShare } from "../../src/rpc/answer-budget.ts";
import { leanLogService } from "../../src/rpc/hot/log-service.ts";
import type { LeanCall } from "../../src/rpc/lean/lean-call.ts";
import type {
  Encoded,
  LeanBidiStreaming,
  LeanOutput,
  LeanServerStreaming,
  LeanUnary,
  Messages,
} from "../../src/rpc/lean/lean-method.ts";
import { RPC_LIMITS, type RpcLimits } from "../../src/rpc/limits.ts";
import { recordOfValue } from "../../src/rpc/record-wire.ts";
import { ServingState } from "../../src/rpc/serving-state.ts";
import { TopicsSource } from "../../src/rpc/topics-source.ts";
import { FakeCall } from "../support/fake-call.ts";
import { FakeTopics } from "../support/fake-topics.ts";
import { SimClock, settle } from "../support/sim-clock.ts";

const TOPIC = { topic: "default" };
const HEARTBEAT_MS = 10_000;
const body = (bytes = 1) => recordOfValue(new Uint8Array(bytes));

/** What a client gets, and does not take before the test says so when it is slow. */
class FakeOutput implements LeanOutput {
  readonly messages: Encoded[] = [];
  isSlow = false;
  isClosed = false;
  #resolve = () => {};

  write(message: Encoded): boolean {
    this.messages.push(message);
    return !this.isSlow;
  }

  async whenRoom(): Promise<void> {
    if (!this.isSlow) return;
    await new Promise<void>((resolve) => {
      this.#resolve = resolve;
    });
  }

  take(): Promise<void> {
    this.#resolve();
    return settle();
  }

  decoded<D extends DescMessage>(desc: D): MessageShape<D>[] {
    return this.messages.map((message) => decode(desc, message));
  }

  /** Offsets of each message of a ConsumeStream. */
  offsets(): number[][] {
    const found = this.decoded(ConsumeStreamResponseSchema);
    return found.map(({ records }) => records.map(({ offset }) => Number(offset)));
  }
}

function decode<D extends DescMessage>(desc: D, { parts, byteLength }: Encoded): MessageShape<D> {
  const bytes = concat(parts);
  assert.equal(bytes.length, byteLength);
  return fromBinary(desc, bytes);
}

function encode<D extends DescMessage>(desc: D, message: MessageInitShape<D>): Uint8Array {
  return toBinary(desc, create(desc, message));
}

class HotCall extends FakeCall {
  answers: AnswerShare | undefined;
  deadlineMs: number | undefined;
  signalCount = 0;

  get signal(): AbortSignal {
    this.signalCount += 1;
    return new AbortController().signal;
  }

  get lean(): LeanCall {
    return { call: this } as unknown as LeanCall;
  }
}

/** The hot methods over topics in memory, on a clock that the test moves. */
class Bench {
  readonly clock = new SimClock();
  readonly topics = new FakeTopics();
  readonly topic = this.topics.topic("default");
  readonly state = new ServingState();
  readonly call = new HotCall();
  readonly output = new FakeOutput();
  readonly #methods: ReturnType<typeof leanLogService>;
  /** How the last stream ended. */
  end: string | undefined;

  constructor(limits: Partial<RpcLimits> = {}) {
    this.#methods = leanLogService({
      topics: new TopicsSource(this.topics, this.clock, 0),
      limits: { ...RPC_LIMITS, ...limits },
      state: this.state,
      clock: this.clock,
    });
  }

  async produce(request: MessageInitShape<typeof ProduceRequestSchema>) {
    const method = this.#methods["produce"] as LeanUnary;
    const bytes = encode(ProduceRequestSchema, request);
    return decode(ProduceResponseSchema, await method.answer(bytes, this.call.lean));
  }

  async consume(request: MessageInitShape<typeof ConsumeRequestSchema>) {
    const method = this.#methods["consume"] as LeanUnary;
    const bytes = encode(ConsumeRequestSchema, request);
    return decode(ConsumeResponseSchema, await method.answer(bytes, this.call.lean));
  }

  tail(
    request: MessageInitShape<typeof ConsumeStreamRequestSchema> = TOPIC,
    output = this.output,
    call = this.call,
  ): Promise<void> {
    const method = this.#methods["consumeStream"] as LeanServerStreaming;
    const bytes = encode(ConsumeStreamRequestSchema, request);
    this.#follow(method.run(bytes, output, call.lean));
    return settle();
  }

  produceStream(input: AsyncIterable<Messages>): Promise<void> {
    const method = this.#methods["produceStream"] as LeanBidiStreaming;
    this.#follow(method.run(input, this.output, this.call.lean));
    return settle();
  }

  #follow(stream: Promise<void>): void {
    stream.then(
      () => {
        this.end = "OK";
      },
      (thrown: unknown) => {
        assert.ok(thrown instanceof ProglogError, String(thrown));
        this.end = `${thrown.reason} ${thrown.metadata["batchNumber"] ?? ""}`.trim();
      },
    );
  }

  assertNothingLeft(): void {
    assert.equal(this.topic.openWaits, 0);
    assert.equal(this.clock.timerCount, 0);
    assert.equal(this.call.listenerCount, 0);
  }
}

for (const [what, stop, end] of [
  ["a drain", (bench: Bench) => bench.state.drain(), "DRAINING"],
  ["a deleted topic", (bench: Bench) => bench.topic.end(), "TOPIC_NOT_FOUND"],
  [
    "a deadline",
    (bench: Bench) => bench.call.abort(new ProglogError("DEADLINE_EXCEEDED", "Too long")),
    "DEADLINE_EXCEEDED",
  ],
] as const) {
  test(`${what} ends a tail that waits`, async () => {
    const bench = new Bench();
    await bench.tail();
    assert.deepEqual(bench.output.offsets(), [[]]);
    stop(bench);
    await settle();
    assert.equal(bench.end, end);
    bench.assertNothingLeft();
  });
}

test("a tail that was overtaken by a trim is told, nothing is skipped silently", async () => {
  const bench = new Bench();
  for (let count = 0; count < 5; count += 1) bench.topic.append(body());
  bench.output.isSlow = true;
  await bench.tail({ ...TOPIC, start: { case: "offset", value: 1n } });
  for (let count = 0; count < 5; count += 1) bench.topic.append(body());
  await bench.topic.trim(7);
  await bench.output.take();
  assert.deepEqual(bench.output.offsets(), [[1, 2, 3, 4]]);
  assert.equal(bench.end, "OFFSET_OUT_OF_RANGE");
});

test("a tail reads on when its client has taken something, and not before", async () => {
  const clock = new SimClock();
  const budget = new AnswerBudget({ bytesMax: 1000, stuckMs: 10, clock });
  const bench = new Bench();
  bench.call.answers = budget.open(() => {});
  bench.output.isSlow = true;
  bench.topic.append(body(100));
  await bench.tail();
  for (let count = 0; count < 3; count += 1) {
    bench.topic.append(body());
    await settle();
  }
  assert.equal(bench.output.messages.length, 1);
  assert.ok(budget.bytes > 100);
  await bench.output.take();
  assert.deepEqual(bench.output.offsets(), [[0], [1, 2, 3]]);
  bench.output.isSlow = false;
  await bench.output.take();
  assert.equal(budget.bytes, 0, "who waits for records holds nothing");
});

test("a tail ends when nobody takes it any more", async () => {
  const bench = new Bench();
  await bench.tail();
  bench.output.isClosed = true;
  bench.topic.append(body());
  await settle();
  assert.equal(bench.end, "OK");
  assert.equal(bench.output.messages.length, 1);
  bench.assertNothingLeft();
});

test("records in memory are not read from disk, those before them are", async () => {
  const bench = new Bench();
  for (let count = 0; count < 4; count += 1) bench.topic.append(body());
  bench.topic.tailFrom = 4;
  await bench.tail();
  assert.deepEqual([bench.topic.readCount, bench.topic.tailCount], [1, 0]);
  for (let count = 0; count < 3; count += 1) {
    bench.topic.append(body());
    await settle();
  }
  assert.deepEqual([bench.topic.readCount, bench.topic.tailCount], [1, 3]);
  assert.deepEqual(bench.output.offsets(), [[0, 1, 2, 3], [4], [5], [6]]);
});

test("a thousand tails send the same bytes, which count once", async () => {
  const budget = new AnswerBudget({ bytesMax: 4000, stuckMs: 10, clock: new SimClock() });
  const bench = new Bench();
  const outputs = Array.from({ length: 1000 }, () => new FakeOutput());
  for (const output of outputs) {
    const call = new HotCall();
    call.answers = budget.open(() => {});
    await bench.tail(TOPIC, output, call);
    output.isSlow = true;
  }
  bench.topic.append(body(1000), body(1000));
  await settle();
  const [first] = outputs;
  assert.deepEqual(first?.offsets(), [[], [0, 1]]);
  for (const { messages } of outputs) assert.equal(messages[1], first?.messages[1]);
  assert.ok(budget.bytes > 2000 && budget.bytes < 2100, `${budget.bytes} bytes for all`);
  for (const output of outputs) await output.take();
  assert.equal(budget.bytes, 0);
});

test("one timer is enough for all the messages between two heartbeats", async () => {
  const bench = new Bench();
  let armed = 0;
  const schedule = bench.clock.schedule.bind(bench.clock);
  bench.clock.schedule = (delayMs, callback) => {
    armed += 1;
    return schedule(delayMs, callback);
  };
  await bench.tail();
  for (let count = 0; count < 100; count += 1) {
    bench.topic.append(body());
    await bench.clock.advance(HEARTBEAT_MS / 200);
  }
  assert.equal(armed, 1);
  assert.equal(bench.output.messages.length, 101);
  await bench.clock.advance(HEARTBEAT_MS - HEARTBEAT_MS / 200 - 1);
  assert.equal(bench.output.messages.length, 101, "the silence began with the last record");
  await bench.clock.advance(1);
  assert.deepEqual(bench.output.offsets().at(-1), []);
});

test("the first message says what a reader must know, the others say no more than they must", async () => {
  const bench = new Bench();
  bench.topic.append(body());
  await bench.tail({ ...TOPIC, endOffset: 2n, heartbeatInterval: { seconds: 2n } });
  bench.topic.append(body(), body());
  await settle();
  assert.equal(bench.end, "OK");
  const [first, second] = bench.output.decoded(ConsumeStreamResponseSchema);
  assert.deepEqual([first?.topicId, first?.heartbeatInterval?.seconds], [1n, 2n]);
  assert.deepEqual([first?.resumeOffset, first?.highWatermark], [1n, 1n]);
  assert.deepEqual([second?.topicId, second?.heartbeatInterval], [0n, undefined]);
  assert.deepEqual([second?.resumeOffset, second?.highWatermark], [2n, 3n]);
  bench.assertNothingLeft();
});

test("an answer goes on where a file ends, and stops before damage", async () => {
  const bench = new Bench();
  for (let count = 0; count < 6; count += 1) bench.topic.append(body());
  bench.topic.damaged.add(4);
  const readRun = bench.topic.readRun.bind(bench.topic);
  bench.topic.readRun = (offset, limits) => readRun(offset, { ...limits, recordsMax: 2 });
  bench.topic.tailFrom = 6;
  const found = await bench.consume(TOPIC);
  assert.deepEqual(
    found.records.map(({ offset }) => Number(offset)),
    [0, 1, 2, 3],
  );
  assert.deepEqual([found.resumeOffset, found.highWatermark, found.topicId], [4n, 6n, 1n]);
});

test("a produce call with a deadline ends with it, and no signal is made", async () => {
  const bench = new Bench();
  const request = { ...TOPIC, records: [{}] };
  assert.equal((await bench.produce(request)).lastOffset, 0n);
  bench.call.deadlineMs = 1000;
  bench.topic.hold = new Promise(() => {});
  const held = bench.produce(request);
  bench.call.abort(new ProglogError("DEADLINE_EXCEEDED", "Too late"));
  await assert.rejects(held, { reason: "DEADLINE_EXCEEDED", metadata: { outcome: "unknown" } });
  assert.equal(bench.call.signalCount, 0);
});

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
