import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import type { ClientHttp2Session } from "node:http2";
import type net from "node:net";
import { test } from "node:test";
import { concat } from "../../src/base/bytes.ts";
import {
  type ConsumeStreamResponse,
  ConsumeStreamResponseSchema,
  ProduceStreamRequestSchema,
  ProduceStreamResponseSchema,
} from "../../src/gen/proglog/v1/log_service_pb.ts";
import { LISTEN_LIMITS } from "../../src/platform/http-options.ts";
import { startApi, until } from "./api.ts";
import { callFrame, dataFrame, FRAMES_HELLO } from "./lean-wire.ts";
import { connect2, RawConnection } from "./ports.ts";
import { envelope, produceRequest } from "./raw-calls.ts";
import {
  carry2,
  encode,
  HEARTBEAT_S,
  messagesOf,
  pass,
  SERVICE,
  STEP_MS,
  Stream2,
  startWorld,
  TAIL,
} from "./stepped-world.ts";

// Goal: what lasts may last, as long as its client is there, and no longer. Method: the
// clock of the whole server is stepped by hand, so that hours pass within a test.

/** gRPC's code. */
const DEADLINE_EXCEEDED = 4;
const HOUR_MS = 3_600_000;

function assertTail(messages: readonly ConsumeStreamResponse[], durationMs: number): void {
  const heartbeats = messages.filter(({ records }) => records.length === 0).length - 1;
  assert.equal(heartbeats, durationMs / 1000 / HEARTBEAT_S);
}

/** A stream of batches of which one is acknowledged. */
async function produceOne(session: ClientHttp2Session) {
  const stream = new Stream2(session, "ProduceStream");
  const batch = encode(ProduceStreamRequestSchema, {
    batches: [{ topic: "default", records: [{}] }],
  });
  const answers = () => stream.messages(ProduceStreamResponseSchema).length;
  stream.write(batch);
  await until(() => answers() === 1);
  return { stream, batch, answers };
}

for (const lean of [true, false]) {
  const path = lean ? "lean path" : "library";

  test(`a tail over HTTP/2 with nothing to say lives for hours, and gets heartbeats (${path})`, async (t) => {
    const world = await startWorld(t, { lean });
    const session = await connect2(t, world.port);
    let pings = 0;
    session.on("ping", () => {
      pings += 1;
    });
    const tail = new Stream2(session, "ConsumeStream");
    tail.end(TAIL);
    const count = () => tail.messages(ConsumeStreamResponseSchema).length;
    await until(() => count() === 1);
    await pass(world, 2 * HOUR_MS, () => carry2(session));
    await until(() => count() >= 1 + (2 * HOUR_MS) / 1000 / HEARTBEAT_S);
    assertTail(tail.messages(ConsumeStreamResponseSchema), 2 * HOUR_MS);
    const intervals = (2 * HOUR_MS) / (LISTEN_LIMITS.pingIntervalMs + 2 * STEP_MS);
    assert.ok(pings >= Math.floor(intervals), `${pings} PINGs`);

    const produce = new Stream2(session, "Produce");
    produce.end(envelope(produceRequest(10)));
    await produce.closed;
    await until(() => {
      const last = tail.messages(ConsumeStreamResponseSchema).at(-1);
      return last?.records.length === 1;
    });
    assert.equal(world.listener.connectionCount, 1);
    assert.equal(world.openCalls(), 1);
  });

  test(`a tail over HTTP/1.1 with nothing to say lives for hours, and gets heartbeats (${path})`, async (t) => {
    const world = await startWorld(t, { lean });
    const connection = await RawConnection.open(t, world.port);
    let bytes: Uint8Array = new Uint8Array(0);
    connection.socket.on("data", (chunk: Buffer) => {
      bytes = concat([bytes, chunk]);
    });
    connection.socket.write(
      concat([
        Buffer.from(
          `POST ${SERVICE}/ConsumeStream HTTP/1.1\r\nhost: x\r\n` +
            `content-type: application/connect+proto\r\ncontent-length: ${TAIL.length}\r\n\r\n`,
        ),
        TAIL,
      ]),
    );
    const messages = () => messagesOf(ConsumeStreamResponseSchema, unchunked(bytes));
    await until(() => messages().length === 1);
    await pass(world, 2 * HOUR_MS, async () => {});
    await until(() => messages().length >= 1 + (2 * HOUR_MS) / 1000 / HEARTBEAT_S);
    assertTail(messages(), 2 * HOUR_MS);
    assert.equal(world.openCalls(), 1);
  });

  test(`a stream of batches that is silent for hours goes on where it was (${path})`, async (t) => {
    const world = await startWorld(t, { lean });
    const session = await connect2(t, world.port);
    const { stream, batch, answers } = await produceOne(session);
    await pass(world, 2 * HOUR_MS, () => carry2(session));
    stream.end(batch);
    await stream.closed;
    assert.equal(stream.status, "0");
    assert.equal(answers(), 2);
  });

  test(`a stream of batches that is silent inside of one is ended (${path})`, async (t) => {
    const world = await startWorld(t, { lean });
    const session = await connect2(t, world.port);
    const { stream, batch, answers } = await produceOne(session);
    stream.write(batch.subarray(0, 3));
    await pass(world, HOUR_MS, () => carry2(session));
    await stream.closed;
    assert.equal(stream.status, `${DEADLINE_EXCEEDED}`);
    assert.equal(answers(), 1);
  });

  test(`a client that is half gone is noticed, and its tail ends (${path})`, async (t) => {
    const world = await startWorld(t, { lean });
    const mute = await RawConnection.open(t, world.port);
    mute.socket.write(
      concat([
        FRAMES_HELLO,
        callFrame(1, `${SERVICE}/ConsumeStream`, "application/grpc"),
        dataFrame(1, TAIL, true),
      ]),
    );
    await until(() => world.openCalls() === 1);
    const { pingIntervalMs, pingTimeoutMs } = LISTEN_LIMITS;
    await pass(world, pingIntervalMs + pingTimeoutMs - STEP_MS, async () => {});
    assert.equal(world.openCalls(), 1, "as long as it may still answer");
    await pass(world, 4 * STEP_MS, async () => {});
    await mute.closed;
    await until(() => world.openCalls() === 0 && world.listener.connectionCount === 0);
  });

  test(`a drain tells a tail and its connection to go (${path})`, async (t) => {
    const world = await startWorld(t, { lean });
    const session = await connect2(t, world.port);
    const goaway = new Promise((resolve) => session.once("goaway", resolve));
    const closed = new Promise((resolve) => session.once("close", resolve));
    const tail = new Stream2(session, "ConsumeStream");
    tail.end(TAIL);
    await until(() => tail.messages(ConsumeStreamResponseSchema).length === 1);
    world.state.drain();
    const stopped = world.listener.close(HOUR_MS);
    await tail.closed;
    assert.equal(tail.status, "14");
    await goaway;
    await closed;
    await world.clock.advance(STEP_MS); // for those that linger
    await stopped;
    assert.equal(world.openCalls(), 0);
  });
}

test("the kernel asks clients of HTTP/1.1 whether they are there", async (t) => {
  const table = procNetTcp();
  if (table === undefined) {
    t.skip("needs /proc/net/tcp");
    return;
  }
  const { port } = await startApi(t);
  const connection = await RawConnection.open(t, port);
  connection.socket.write("GET /livez HTTP/1.1\r\nhost: x\r\n\r\n");
  await connection.receives("200 OK");
  const clientPort = (connection.socket.address() as net.AddressInfo).port;
  const hex = (value: number) => `:${value.toString(16).toUpperCase().padStart(4, "0")}`;
  const timerOf = () =>
    procNetTcp()
      ?.map((line) => line.trim().split(/\s+/))
      .find(([, local, remote]) => local?.endsWith(hex(port)) && remote?.endsWith(hex(clientPort)))
      ?.at(5);
  // "02": a timer of keep-alive runs; "01": bytes wait for an acknowledgement.
  await until(() => timerOf()?.startsWith("01") === false);
  assert.match(timerOf() ?? "no such connection", /^02:/);
});

function procNetTcp(): string[] | undefined {
  try {
    return readFileSync("/proc/net/tcp", "utf8").split("\n");
  } catch {
    return undefined;
  }
}

/** The body of an HTTP/1.1 answer in chunks, as far as it came. */
function unchunked(answer: Uint8Array): Uint8Array {
  const bytes = Buffer.from(answer);
  const parts: Uint8Array[] = [];
  let at = bytes.indexOf("\r\n\r\n") + 4;
  while (at >= 4 && at < bytes.length) {
    const lineEnd = bytes.indexOf("\r\n", at);
    const end = lineEnd + 2 + Number.parseInt(bytes.toString("latin1", at, lineEnd), 16);
    if (lineEnd < 0 || Number.isNaN(end) || end > bytes.length) break;
    parts.push(bytes.subarray(lineEnd + 2, end));
    at = end + 2;
  }
  return concat(parts);
}
