import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { test } from "node:test";
import { AnswerBudget } from "../../src/rpc/answer-budget.ts";
import { Call } from "../../src/rpc/call.ts";
import { dialectOf } from "../../src/rpc/lean/dialect.ts";
import { Exchange } from "../../src/rpc/lean/exchange.ts";
import { Output } from "../../src/rpc/lean/output.ts";
import type { Sink } from "../../src/rpc/lean/sink.ts";
import { SimClock } from "../support/sim-clock.ts";

/** A connection that remembers what it was given, and takes as much as it is told to. */
class FakeSink implements Sink {
  readonly pieces: Uint8Array[] = [];
  readonly sent: (() => void)[] = [];
  isOpen = true;
  isFull = false;
  pendingBytes = 0;
  hasBegun = false;
  hasEnded = false;
  drained = () => {};

  /** The client takes all. */
  drain(): void {
    this.isFull = false;
    this.pendingBytes = 0;
    this.drained();
  }
  begin(): void {
    this.hasBegun = true;
  }
  only(): void {
    this.hasEnded = true;
  }
  write(bytes: Uint8Array, onSent?: () => void): boolean {
    this.pieces.push(bytes);
    if (onSent !== undefined) this.sent.push(onSent);
    if (this.isFull) this.pendingBytes += bytes.length;
    return !this.isFull;
  }
  end(): void {
    this.hasEnded = true;
  }
  onDrain(listener: () => void): void {
    this.drained = listener;
  }
  reset(): void {
    this.isOpen = false;
  }
}

function open() {
  const headers = { "content-type": "application/grpc" };
  const dialect = dialectOf(headers, "server_streaming", true);
  assert.ok(dialect);
  const call = new Call({
    method: "a.B/C",
    protocol: dialect.protocol,
    headers,
    connection: {} as Socket,
    deadlineMs: undefined,
    budgets: [],
  });
  const sink = new FakeSink();
  const exchange = new Exchange({ call, dialect, sink, fields: undefined, jsonOptions: {} });
  return { call, sink, output: new Output(exchange) };
}

const message = (bytes: number) => ({ parts: [new Uint8Array(bytes)], byteLength: bytes });
const turn = () => new Promise((resolve) => setImmediate(resolve));

test("messages of one turn are written as one piece, and no header goes out before them", async () => {
  const { sink, output } = open();
  for (let n = 0; n < 100; n += 1) assert.equal(output.write(message(10)), true);
  assert.equal(sink.hasBegun, false);
  await turn();
  assert.deepEqual(
    sink.pieces.map(({ length }) => length),
    [1500],
  );
  output.write(message(1));
  await turn();
  assert.equal(sink.pieces.length, 2);
});

test("messages that are many in one turn do not gather for ever", () => {
  const { sink, output } = open();
  for (let n = 0; n < 100; n += 1) output.write(message(10_000));
  const written = sink.pieces.reduce((sum, { length }) => sum + length, 0);
  assert.ok(written > 900_000, `${written}`);
});

test("a large part goes out as it is, between its neighbours", async () => {
  const { sink, output } = open();
  const large = new Uint8Array(40_000);
  output.write(message(3));
  output.write({ parts: [Uint8Array.of(1, 2), large, Uint8Array.of(3)], byteLength: 40_003 });
  output.write(message(4));
  await turn();
  assert.deepEqual(
    sink.pieces.map(({ length }) => length),
    [8 + 5 + 2, 40_000, 1, 9],
  );
  assert.equal(sink.pieces[1], large);
});

test("whose message went out as it was hears of it, and nobody else", async () => {
  const { sink, output } = open();
  const told: string[] = [];
  const enveloped = (name: string, bytes: number) => ({
    ...message(bytes),
    enveloped: new Uint8Array(bytes + 5),
    onSent: () => told.push(name),
  });
  output.write(enveloped("first", 40_000));
  output.write(message(3));
  output.write(enveloped("copied", 50));
  output.write(enveloped("last", 20_000));
  await turn();
  assert.deepEqual(told, []);
  for (const sent of sink.sent) sent();
  assert.deepEqual(told, ["first", "last"]);
});

test("who is slow is known before the next message is read", () => {
  const { sink, output } = open();
  sink.isFull = true;
  assert.equal(output.write(message(10)), true, "gathered until the end of the turn");
  sink.pendingBytes = 16_384;
  assert.equal(output.write(message(10)), false);
  assert.equal(sink.pieces.length, 1);
});

test("a client that takes nothing is waited for; its end ends the wait", async () => {
  const { call, sink, output } = open();
  sink.isFull = true;
  assert.equal(output.write(message(100_000)), false);
  const drained = output.whenRoom();
  sink.drain();
  await drained;
  assert.equal(output.write(message(100_000)), true);
  sink.isFull = true;
  assert.equal(output.write(message(10)), true, "gathered");
  const waiting = output.whenRoom();
  call.over();
  await waiting;
  assert.equal(output.isClosed, true);
  assert.equal(output.write(message(1)), false);
  await output.whenRoom();
});

test("what waits for a client counts, but for the last message as its handler holds it", async () => {
  const { call, sink, output } = open();
  const budget = new AnswerBudget({ bytesMax: 1000, stuckMs: 10, clock: new SimClock() });
  call.answers = budget.open(() => {});
  const whole = (bytes: number) => ({ ...message(bytes), enveloped: new Uint8Array(bytes + 5) });
  output.write(whole(30));
  await turn();
  assert.equal(budget.bytes, 0, "it was taken");
  sink.isFull = true;
  output.write(message(40));
  await turn();
  assert.equal(budget.bytes, 45, "a copy");
  for (const bytes of [50, 60, 70]) {
    output.write(whole(bytes));
    await turn();
  }
  assert.equal(budget.bytes, 45 + 55 + 65, "those before are not held any more");
  output.write(whole(20_000));
  assert.equal(budget.bytes, 45 + 55 + 65 + 75);
  sink.drain();
  assert.equal(budget.bytes, 0);
});

test("a small message does not keep the large buffer that it was read into", async () => {
  const { sink, output } = open();
  const enveloped = new Uint8Array(100_000).subarray(0, 105);
  output.write({ ...message(100), enveloped });
  await turn();
  assert.equal(sink.pieces[0]?.length, 105);
  assert.notEqual(sink.pieces[0], enveloped);
});

test("what was written comes before the end, and nothing after it", async () => {
  const { sink, output } = open();
  output.write(message(5));
  output.finish(undefined);
  assert.equal(sink.pieces.length, 1);
  assert.equal(sink.hasEnded, true);
  output.write(message(5));
  output.finish(undefined);
  await turn();
  assert.equal(sink.pieces.length, 1);
});
