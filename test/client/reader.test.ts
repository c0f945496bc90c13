import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type Empty, EmptySchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { ConsumedRecord } from "../../src/client/consumed-record.ts";
import { type ReadMessage, read } from "../../src/client/reader.ts";
import {
  type ConsumeStreamRequest,
  ConsumeStreamResponseSchema,
} from "../../src/gen/proglog/v1/log_service_pb.ts";
import { SimClock } from "../support/sim-clock.ts";

/** What a stream does after its messages: ends in order, fails, or says nothing for ever. */
type End = "ends" | "hangs" | ConnectError;

interface Script {
  /** Resume offsets of its messages; each carries the record before that offset. */
  readonly messages: readonly number[];
  readonly end: End;
}

/** Plays one script for each stream that is opened, and remembers what was asked. */
class ScriptedTransport {
  readonly asked: ConsumeStreamRequest[] = [];
  readonly #scripts: Script[];

  constructor(scripts: readonly Script[]) {
    this.#scripts = [...scripts];
  }

  async stream(
    _method: unknown,
    signal: AbortSignal,
    _timeoutMs: unknown,
    _header: unknown,
    input: AsyncIterable<ConsumeStreamRequest>,
  ): Promise<{ message: AsyncIterable<Empty> }> {
    for await (const request of input) this.asked.push(request);
    const script = this.#scripts.shift();
    assert.ok(script !== undefined, "one stream too many");
    return { message: play(script, signal) };
  }
}

async function* play({ messages, end }: Script, signal: AbortSignal): AsyncGenerator<Empty> {
  for (const resumeOffset of messages) yield message(resumeOffset);
  if (end instanceof ConnectError) throw end;
  if (end === "ends") return;
  await new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(new ConnectError("cut", Code.Canceled)));
  });
}

function message(resumeOffset: number): Empty {
  const value = new TextEncoder().encode(`record ${resumeOffset - 1}`);
  const offset = BigInt(resumeOffset - 1);
  const response = create(ConsumeStreamResponseSchema, {
    records: [{ offset, record: { value } }],
    resumeOffset: BigInt(resumeOffset),
    highWatermark: 9n,
  });
  return fromBinary(EmptySchema, toBinary(ConsumeStreamResponseSchema, response));
}

const LOST = () => new ConnectError("gone", Code.Unavailable);

function reading(scripts: readonly Script[], endOffset?: number) {
  const transport = new ScriptedTransport(scripts);
  const clock = new SimClock();
  const stop = new AbortController();
  const events: string[] = [];
  const values: string[] = [];
  const done = (async () => {
    const record = new ConsumedRecord();
    const messages = read({
      transport: transport as unknown as Transport,
      clock,
      topic: "orders",
      topicId: 3,
      offset: 0,
      endOffset,
      signal: stop.signal,
      onLost: ({ message: why }) => events.push(`lost: ${why}`),
      onResumed: (offset) => events.push(`resumed before ${offset}`),
    });
    for await (const one of messages) collect(one, record, values);
  })();
  // Looked at later.
  done.catch(() => {});
  return { transport, clock, stop, events, values, done };
}

function collect(one: ReadMessage, record: ConsumedRecord, values: string[]): void {
  one.forEachRecord(record, ({ value }) => {
    values.push(Buffer.from(value).toString());
    return true;
  });
}

test("a first connection that fails is not tried again", async () => {
  const { done } = reading([{ messages: [], end: LOST() }]);
  await assert.rejects(done, /gone/);
});

test("a read with an end is not tried again", async () => {
  const { done, values } = reading([{ messages: [1], end: LOST() }], 5);
  await assert.rejects(done, /gone/);
  assert.deepEqual(values, ["record 0"]);
});

test("an error that cannot pass ends it, also while following", async () => {
  const refusal = new ConnectError("no such topic", Code.NotFound);
  const { done, clock, events } = reading([
    { messages: [1], end: LOST() },
    { messages: [], end: refusal },
  ]);
  await clock.advance(100);
  await assert.rejects(done, /no such topic/);
  assert.deepEqual(events, ["lost: gone"]);
});

test("it goes on at the last resume offset, with the topic's id, and tells once of each loss", async () => {
  const { transport, clock, events, values, stop, done } = reading([
    { messages: [1, 2], end: LOST() },
    { messages: [], end: LOST() },
    { messages: [], end: LOST() },
    { messages: [3], end: "ends" },
    { messages: [4], end: "hangs" },
  ]);
  await clock.advance(100 + 200 + 400);
  await clock.advance(100);
  assert.deepEqual(values, ["record 0", "record 1", "record 2", "record 3"]);
  assert.deepEqual(
    transport.asked.map(({ start }) => start.value),
    [0n, 2n, 2n, 2n, 3n],
  );
  assert.ok(transport.asked.every(({ topicId }) => topicId === 3n));
  assert.deepEqual(events, ["lost: gone", "resumed before 3"]);
  stop.abort(new Error("stopped"));
  await assert.rejects(done, /stopped/);
});

test("silence for two heartbeats is a lost connection", async () => {
  const { clock, events, values, stop, done } = reading([
    { messages: [1], end: "hangs" },
    { messages: [2], end: "hangs" },
  ]);
  await clock.advance(9_999);
  assert.deepEqual(events, []);
  await clock.advance(1);
  assert.equal(events.length, 1);
  await clock.advance(100);
  assert.deepEqual(values, ["record 0", "record 1"]);
  stop.abort(new Error("stopped"));
  await assert.rejects(done, /stopped/);
  assert.equal(clock.timerCount, 0, "nothing is left behind");
});

test("pauses grow up to two seconds, and begin small again after success", async () => {
  const failures = Array.from({ length: 8 }, () => ({ messages: [], end: LOST() }));
  const { transport, clock, stop, done } = reading([
    { messages: [1], end: LOST() },
    ...failures,
    { messages: [2], end: LOST() },
    { messages: [3], end: "hangs" },
  ]);
  const opened: number[] = [];
  for (let ms = 0; ms < 15_000; ms += 100) {
    const before = transport.asked.length;
    await clock.advance(100);
    if (transport.asked.length > before) opened.push(clock.monotonicMs());
  }
  const pauses = opened.map((at, place) => at - (opened[place - 1] ?? 0));
  assert.deepEqual(pauses, [100, 200, 400, 800, 1_600, 2_000, 2_000, 2_000, 2_000, 100]);
  stop.abort();
  await done.catch(() => {});
});
