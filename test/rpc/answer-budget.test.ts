import assert from "node:assert/strict";
import { once } from "node:events";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { type ClientHttp2Session, type ClientHttp2Stream, constants } from "node:http2";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { KIB, MIB } from "../../src/base/units.ts";
import { ConsumeStreamRequestSchema } from "../../src/gen/proglog/v1/log_service_pb.ts";
import { AnswerBudget } from "../../src/rpc/answer-budget.ts";
import { recordOfValue } from "../../src/rpc/record-wire.ts";
import { SimClock } from "../support/sim-clock.ts";
import { clientsOf, collect, failsWith, LEAN, startApi, until } from "./api.ts";
import { connect2 } from "./ports.ts";
import { envelope } from "./raw-calls.ts";

const PATH = "/proglog.v1.LogService/ConsumeStream";
const REQUEST = toBinary(
  ConsumeStreamRequestSchema,
  create(ConsumeStreamRequestSchema, { topic: "default" }),
);

/** Every record is to be read from disk, where reading is what is counted. */
const ON_DISK = Number.MAX_SAFE_INTEGER;

/** A tail of which nobody reads. */
function openUnread(session: ClientHttp2Session): ClientHttp2Stream {
  const stream = session.request({
    ":method": "POST",
    ":path": PATH,
    "content-type": "application/grpc",
    te: "trailers",
  });
  stream.on("error", () => {});
  stream.end(envelope(REQUEST));
  return stream;
}

test("a stream waits while others hold all the bytes, and goes on when one is taken", async () => {
  const clock = new SimClock();
  const budget = new AnswerBudget({ bytesMax: 100, stuckMs: 10, clock });
  const evicted: string[] = [];
  const open = (name: string) => budget.open(() => evicted.push(name));
  const [a, b, c] = [open("a"), open("b"), open("c")];
  await a.take(100);
  a.hold(60);
  a.wait();
  let admitted = "";
  const rest = [b.take(50).then(() => (admitted += "b")), c.take(10).then(() => (admitted += "c"))];
  await clock.advance(9);
  assert.equal(admitted, "", "c does not overtake b");
  assert.deepEqual(evicted, []);
  a.giveBack();
  await Promise.all(rest);
  assert.equal(admitted, "bc");
  b.close();
  c.close();
  assert.equal(budget.bytes, 0);
});

test("who is stuck is ended when others need its bytes, not before, the longest first", async () => {
  const clock = new SimClock();
  const budget = new AnswerBudget({ bytesMax: 100, stuckMs: 10, clock });
  const evicted: string[] = [];
  const stick = async (name: string) => {
    const share = budget.open(() => {
      evicted.push(name);
      share.close();
    });
    await share.take(50);
    share.wait();
  };
  await stick("a");
  await clock.advance(5);
  await stick("b");
  await clock.advance(1000);
  assert.deepEqual(evicted, []);
  await stick("c");
  assert.deepEqual(evicted, ["a"]);
  const waiting = stick("d");
  assert.deepEqual(evicted, ["a", "b"]);
  await waiting;
  const last = stick("e");
  await clock.advance(9);
  assert.deepEqual(evicted, ["a", "b"]);
  await clock.advance(1);
  await last;
  assert.deepEqual(evicted, ["a", "b", "c"]);
  assert.equal(budget.bytes, 100);
});

test("what many streams send at once is counted once, until the last of them has it", () => {
  const budget = new AnswerBudget({ bytesMax: 100, stuckMs: 10, clock: new SimClock() });
  const shares = [1, 2, 3].map(() => budget.open(() => {}));
  const batch = {};
  for (const share of shares) assert.ok(share.tryHold(80, batch));
  assert.equal(budget.bytes, 80);
  const [first, second, third] = shares;
  first?.giveBack();
  second?.close();
  assert.equal(budget.bytes, 80);
  assert.ok(third?.tryHold(30, {}));
  assert.equal(budget.bytes, 30);
  assert.ok(first?.tryHold(70), "what is not shared counts for itself");
  assert.equal(budget.bytes, 100);
  assert.equal(second?.tryHold(80, batch), true, "a closed share counts nothing");
  assert.equal(budget.bytes, 100);
});

test("who has its records in memory does not wait behind those who read, nor lets them starve", async () => {
  const clock = new SimClock();
  const budget = new AnswerBudget({ bytesMax: 100, stuckMs: 10, clock });
  const [reader, other, tail] = [1, 2, 3].map(() => budget.open(() => {}));
  assert.ok(reader && other && tail);
  assert.ok(reader.tryTake(90));
  let isAdmitted = false;
  void other.take(50).then(() => {
    isAdmitted = true;
  });
  assert.equal(tail.tryTake(5), false, "who reads too waits its turn");
  assert.ok(tail.tryHold(10));
  assert.equal(tail.tryHold(11), false, "there is no room for it");
  reader.giveBack();
  await clock.advance(0);
  assert.ok(isAdmitted);
  assert.equal(budget.bytes, 50);
});

test("stuck streams that share a message are ended until there is room", async () => {
  const clock = new SimClock();
  const budget = new AnswerBudget({ bytesMax: 100, stuckMs: 10, clock });
  const evicted: number[] = [];
  const batch = {};
  const shares = [0, 1, 2].map((number) => {
    const share = budget.open(() => {
      evicted.push(number);
      share.close();
    });
    return share;
  });
  for (const share of shares) {
    share.tryHold(80, batch);
    share.wait();
  }
  const waiting = budget.open(() => {});
  const taken = waiting.take(50);
  await clock.advance(9);
  assert.deepEqual(evicted, []);
  await clock.advance(1);
  await taken;
  assert.deepEqual(evicted, [0, 1, 2]);
  assert.equal(budget.bytes, 50);
});

test("copies that wait for the client count beside its message, and make it stuck until it has all", async () => {
  const clock = new SimClock();
  const budget = new AnswerBudget({ bytesMax: 100, stuckMs: 10, clock });
  const evicted: string[] = [];
  const slow = budget.open(() => {
    evicted.push("slow");
    slow.close();
  });
  slow.pend(50);
  await clock.advance(6);
  assert.ok(slow.tryHold(20));
  slow.pend(60);
  slow.wait();
  slow.giveBack();
  assert.equal(budget.bytes, 60);
  const other = budget.open(() => {});
  const taken = other.take(90);
  await clock.advance(3);
  assert.deepEqual(evicted, []);
  await clock.advance(1);
  await taken;
  assert.deepEqual(evicted, ["slow"], "since the first byte waited");
  assert.equal(budget.bytes, 90);
  other.pend(50);
  other.pend(0);
  other.giveBack();
  const last = budget.open(() => {});
  await last.take(100);
  assert.equal(budget.bytes, 100);
});

// Goal: of small messages a client that does not read has 16 KiB and one more waiting, not as many
// as come: the rest stays where all read it, and is there when they do read. Nobody must be ended.
// Method: as many as would be far over the budget, and one client that reads all.
test("small messages that nobody takes fill no memory", { skip: !LEAN }, async (t) => {
  const limits = { answerBytesMax: 768 * KIB, stuckMs: 20 };
  const { port, topics } = await startApi(t, { limits });
  const topic = topics.topic("default");
  const session = await connect2(t, port, { settings: { initialWindowSize: 1024 } });
  let endCount = 0;
  const unread = Array.from({ length: 20 }, () => {
    const stream = openUnread(session);
    stream.on("close", () => (endCount += 1));
    return stream;
  });
  await until(() => topic.openWaits === 20);
  const { log } = clientsOf(port);
  const reading = collect(log.consumeStream({ topic: "default", endOffset: 100n }));
  for (let n = 0; n < 100; n += 1) {
    topic.append(recordOfValue(new Uint8Array(KIB)));
    if (n % 4 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
  }
  const taken = (await reading).reduce((sum, { records }) => sum + records.length, 0);
  assert.equal(taken, 100);
  await new Promise((resolve) => setTimeout(resolve, 2 * limits.stuckMs));
  assert.equal(endCount, 0);
  await Promise.all(
    unread.map(async (stream) => {
      let bytes = 0;
      stream.on("data", (chunk: Buffer) => (bytes += chunk.length));
      await until(() => bytes > 100 * KIB);
    }),
  );
});

test("clients that never read neither fill the memory nor stop one that reads", async (t) => {
  const limits = { answerBytesMax: 4 * MIB, stuckMs: 50 };
  const { port, topics } = await startApi(t, { limits });
  const topic = topics.topic("default");
  const record = recordOfValue(new Uint8Array(900 * KIB));
  for (let n = 0; n < 4; n += 1) topic.append(record);
  topic.tailFrom = ON_DISK;
  const session = await connect2(t, port);
  const ends: number[] = [];
  for (let n = 0; n < 20; n += 1) {
    const stream = openUnread(session);
    stream.on("close", () => ends.push(stream.rstCode));
  }
  await until(() => topic.readCount >= 4);
  let seen = 0;
  const { log } = clientsOf(port);
  for await (const { records } of log.consumeStream({ topic: "default", endOffset: 4n })) {
    seen += records.length;
  }
  assert.equal(seen, 4);
  await until(() => ends.length >= 16);
  assert.deepEqual([...new Set(ends)], [constants.NGHTTP2_ENHANCE_YOUR_CALM]);
});

test("streams that are at the end of their topic hold nothing", async (t) => {
  const limits = { answerBytesMax: 2 * KIB, stuckMs: 3_600_000 };
  const { port, topics } = await startApi(t, { limits });
  const topic = topics.topic("default");
  topic.append(recordOfValue(new Uint8Array(KIB)));
  const { log } = clientsOf(port);
  const tails = Array.from({ length: 8 }, () =>
    log.consumeStream({ topic: "default" })[Symbol.asyncIterator](),
  );
  for (const tail of tails) assert.equal((await tail.next()).value?.records.length, 1);
  for (const tail of tails) tail.return?.().catch(() => {});
});

test("a stream that waits for its turn ends with a drain and at its deadline", async (t) => {
  const limits = { answerBytesMax: MIB, stuckMs: 3_600_000 };
  const { port, topics, state } = await startApi(t, { limits });
  const topic = topics.topic("default");
  topic.tailFrom = ON_DISK;
  for (let n = 0; n < 4; n += 1) topic.append(recordOfValue(new Uint8Array(900 * KIB)));
  const session = await connect2(t, port);
  openUnread(session);
  await until(() => topic.readCount === 1);
  const { log } = clientsOf(port);
  const late = collect(log.consumeStream({ topic: "default" }, { timeoutMs: 100 }));
  await assert.rejects(late, { code: Code.DeadlineExceeded });
  const waiting = collect(log.consumeStream({ topic: "default" }));
  waiting.catch(() => {});
  assert.equal((await log.consume({ topic: "default" })).highWatermark, 4n);
  assert.equal(topic.readCount, 2, "one by each: the stream waits");
  state.drain();
  await failsWith(waiting, "DRAINING");
});

test("over HTTP/1.1 the connection of a client that never reads is closed", async (t) => {
  const limits = { answerBytesMax: MIB, stuckMs: 50 };
  const { port, topics } = await startApi(t, { limits });
  const topic = topics.topic("default");
  topic.tailFrom = ON_DISK;
  // More than the sockets' own buffers take.
  for (let n = 0; n < 16; n += 1) topic.append(recordOfValue(new Uint8Array(900 * KIB)));
  const request = httpRequest({
    port,
    host: "127.0.0.1",
    method: "POST",
    path: PATH,
    headers: { "content-type": "application/connect+proto", "connect-protocol-version": "1" },
  });
  request.on("error", () => {});
  request.end(envelope(REQUEST));
  const [response] = (await once(request, "response")) as [IncomingMessage];
  response.on("error", () => {});
  response.pause();
  await until(() => topic.readCount > 1);
  const { log } = clientsOf(port);
  await collect(log.consumeStream({ topic: "default", endOffset: 16n }));
  const closed = new Promise((resolve) => response.once("close", resolve));
  response.resume();
  await closed;
  assert.equal(response.complete, false);
});
