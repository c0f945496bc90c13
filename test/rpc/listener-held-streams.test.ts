import assert from "node:assert/strict";
import http2 from "node:http2";
import type net from "node:net";
import { type TestContext, test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import {
  ConsumeRequestSchema,
  ConsumeStreamRequestSchema,
} from "../../src/gen/proglog/v1/log_service_pb.ts";
import type { HttpStream, StreamHandler } from "../../src/platform/http-options.ts";
import { IS_BUN } from "../../src/platform/http-runtime.ts";
import { recordOfValue } from "../../src/rpc/record-wire.ts";
import { clientsOf, startApi } from "./api.ts";
import { makeCertificates } from "./certificates.ts";
import { FrameClient, INITIAL_WINDOW_BYTES, request, reset, windowUpdate } from "./http2-frames.ts";
import { callFrame, dataFrame } from "./lean-wire.ts";
import { bodiesInTurn, connect2, openPort } from "./ports.ts";
import { envelope } from "./raw-calls.ts";

const { ca, server: certificate } = makeCertificates();
const PIECE = Buffer.alloc(16 * 1024);
const CANCEL = 8;
const UNREAD = 1;
const TOPIC = { topic: "default" };

/** Writes `bytes` as there is room, then ends. */
function pour(stream: HttpStream, bytes: number, onWritten = (_: number) => {}): void {
  let written = 0;
  const go = () => {
    let hasRoom = true;
    while (hasRoom && written < bytes && !stream.destroyed) {
      const piece = PIECE.subarray(0, Math.min(PIECE.length, bytes - written));
      hasRoom = stream.write(piece);
      written += piece.length;
      onWritten(written);
    }
    if (written >= bytes) stream.end();
  };
  stream.on("drain", go);
  go();
}

/**
 * Answers stream 1 without end. Others get `answer` later: their HEADERS are out, and
 * nothing comes from the client any more, for Bun sends all it can with both.
 */
function unreadAndOthers(answer: (stream: HttpStream) => void): StreamHandler {
  return (stream) => {
    stream.on("error", () => {});
    stream.on("wantTrailers", () => stream.sendTrailers({ "x-last": "1" }));
    stream.respond({ ":status": 200 }, { waitForTrailers: (stream.id ?? 0) % 4 === 1 });
    if (stream.id === UNREAD) {
      pour(stream, Number.POSITIVE_INFINITY);
    } else {
      setTimeout(() => answer(stream), 30);
    }
    return true;
  };
}

for (const scheme of ["plaintext", "TLS"]) {
  const isTls = scheme === "TLS";
  const open = async (t: TestContext, onStream: StreamHandler) => {
    const tls = isTls ? { tls: certificate } : {};
    const listener = await openPort(t, () => {}, { onStream, ...tls });
    return await FrameClient.open(t, listener.port, isTls ? ca : undefined);
  };
  /** A client with a stream of which it takes no more. */
  const openUnread = async (t: TestContext, answer: (stream: HttpStream) => void) => {
    const client = await open(t, unreadAndOthers(answer));
    client.send(FrameClient.opening, request(UNREAD));
    const came = await client.dataUpTo(UNREAD, INITIAL_WINDOW_BYTES);
    assert.equal(came, INITIAL_WINDOW_BYTES);
    return client;
  };
  /** Sends nothing while it waits: what the client sends would help on. */
  const comesWhole = async (client: FrameClient, streamId: number, bytes: number) => {
    await client.until(() => client.ended.has(streamId));
    assert.deepEqual([client.dataBytes(streamId), client.complaints], [bytes, []]);
  };

  test(`${scheme}: an answer comes beside a stream that is not read`, async (t) => {
    const client = await openUnread(t, (stream) => stream.end("hello"));
    for (const id of [3, 5, 7]) {
      client.send(request(id));
      await comesWhole(client, id, 5);
    }
    assert.equal(client.dataBytes(UNREAD), INITIAL_WINDOW_BYTES);
  });

  test(`${scheme}: an answer in pieces comes beside a stream that is not read`, async (t) => {
    const client = await openUnread(t, (stream) => {
      stream.write("a");
      setTimeout(() => stream.write("b"), 10);
      setTimeout(() => stream.end("c"), 20);
    });
    client.send(request(3));
    await comesWhole(client, 3, 3);
    client.send(request(5), request(7), request(9));
    for (const id of [5, 7, 9]) await comesWhole(client, id, 3);
  });

  test(`${scheme}: a long answer gets what its window takes beside a stream that is not read`, async (t) => {
    const bytes = 3_000_000;
    let written = 0;
    const client = await openUnread(t, (stream) => {
      pour(stream, bytes, (count) => {
        written = count;
      });
    });
    const first = 2_000_000;
    client.send(request(3), windowUpdate(3, first - INITIAL_WINDOW_BYTES));
    await client.until(() => client.dataBytes(3) >= first);
    assert.equal(await client.dataUpTo(3, first), first);
    assert.ok(written < first + 200_000, `${written} bytes were written`);
    client.send(windowUpdate(3, bytes - first + 1)); // at none left, Node does not send the end
    await comesWhole(client, 3, bytes);
    assert.equal(client.dataBytes(UNREAD), INITIAL_WINDOW_BYTES);
  });

  test(`${scheme}: a stream that is not read takes no more for what others send`, async (t) => {
    let written = 0;
    const client = await open(t, (stream) => {
      stream.respond({ ":status": 200 });
      if (stream.id !== UNREAD) setTimeout(() => stream.end("hello"), 5);
      else {
        pour(stream, Number.POSITIVE_INFINITY, (count) => {
          written = count;
        });
      }
      return true;
    });
    client.send(FrameClient.opening, request(UNREAD));
    await client.dataUpTo(UNREAD, INITIAL_WINDOW_BYTES);
    const before = written;
    for (let id = 3; id < 103; id += 2) {
      client.send(request(id));
      await comesWhole(client, id, 5);
    }
    assert.equal(written, before);
    client.send(windowUpdate(UNREAD, 100_000));
    const all = INITIAL_WINDOW_BYTES + 100_000;
    assert.equal(await client.dataUpTo(UNREAD, all), all);
  });

  for (const [whose, end] of [
    ["the client", undefined],
    ["the server", CANCEL],
  ] as const) {
    test(`${scheme}: answers come after ${whose} has reset the stream that is not read`, async (t) => {
      let unread: HttpStream | undefined;
      const others = unreadAndOthers((stream) => stream.end("hello"));
      const client = await open(t, (stream, ...rest) => {
        if (stream.id === UNREAD) unread = stream;
        return others(stream, ...rest);
      });
      client.send(FrameClient.opening, request(UNREAD));
      await client.dataUpTo(UNREAD, INITIAL_WINDOW_BYTES);
      if (end === undefined) client.send(reset(UNREAD, CANCEL));
      else unread?.close(end);
      for (const id of [3, 5]) {
        client.send(request(id));
        await client.until(() => client.ended.has(id));
        assert.equal(client.dataBytes(id), 5);
      }
    });
  }

  test(`${scheme}: a hundred streams that are not read hold nobody up`, async (t) => {
    const unreadIds = Array.from({ length: 100 }, (_, at) => 2 * at + 1);
    const client = await open(t, (stream) => {
      stream.respond({ ":status": 200 });
      if ((stream.id ?? 0) < 200) pour(stream, Number.POSITIVE_INFINITY);
      else setTimeout(() => stream.end("hello"), 1 + ((stream.id ?? 0) % 7));
      return true;
    });
    client.send(FrameClient.opening, ...unreadIds.map(request));
    for (const id of unreadIds) {
      await client.until(() => client.dataBytes(id) >= INITIAL_WINDOW_BYTES);
    }
    const others = Array.from({ length: 50 }, (_, at) => 2 * at + 201);
    client.send(...others.map(request));
    for (const id of others) await comesWhole(client, id, 5);
    for (const id of unreadIds) assert.equal(client.dataBytes(id), INITIAL_WINDOW_BYTES);
  });

  test(`${scheme}: streams that are read one after the other come whole and in order`, async (t) => {
    const count = 500_000;
    const content = Buffer.alloc(4 * count);
    for (let at = 0; at < count; at += 1) content.writeUInt32BE(at, 4 * at);
    const tls = isTls ? { tls: certificate } : {};
    const answer = (response: { write(bytes: Buffer): boolean; end(): void }, once: Once) => {
      let at = 0;
      const go = () => {
        let hasRoom = true;
        while (hasRoom && at < content.length) {
          hasRoom = response.write(content.subarray(at, at + 30_000));
          at += 30_000;
        }
        if (at < content.length) once("drain", go);
        else response.end();
      };
      go();
    };
    const { port } = await openPort(
      t,
      (_request, response) => answer(response, response.once.bind(response)),
      tls,
    );
    const session = await connect2(t, port, isTls ? { ca } : {}, isTls ? "https" : "http");
    for (const body of await bodiesInTurn(session, 5)) assert.ok(body.equals(content));
  });
}

for (const lean of [true, false]) {
  test(`a long poll is answered beside a tail that is not read (lean path ${lean ? "on" : "off"})`, async (t) => {
    const { port, topics } = await startApi(t, { lean });
    const topic = topics.topic("default");
    for (let n = 0; n < 100; n += 1) topic.append(recordOfValue(new Uint8Array(100_000)));
    const client = await FrameClient.open(t, port);
    const call = (id: number, method: string, message: Uint8Array) => {
      const path = `/proglog.v1.LogService/${method}`;
      const head = callFrame(id, path, "application/grpc");
      client.send(head, dataFrame(id, envelope(message), true));
    };
    const tail = create(ConsumeStreamRequestSchema, TOPIC);
    client.send(FrameClient.opening);
    call(UNREAD, "ConsumeStream", toBinary(ConsumeStreamRequestSchema, tail));
    const came = await client.dataUpTo(UNREAD, INITIAL_WINDOW_BYTES);
    assert.equal(came, INITIAL_WINDOW_BYTES);
    const start = { case: "offset", value: 100n } as const;
    const poll = create(ConsumeRequestSchema, { ...TOPIC, start, wait: { seconds: 60n } });
    call(3, "Consume", toBinary(ConsumeRequestSchema, poll));
    await new Promise((resolve) => setTimeout(resolve, 200));
    await clientsOf(port).log.produce({ ...TOPIC, records: [{}] });
    await client.until(() => client.ended.has(3));
    assert.ok(client.dataBytes(3) > 0);
    assert.deepEqual(client.complaints, []);
  });
}

type Once = (event: "drain", listener: () => void) => unknown;

test("Bun by itself holds all streams back for one", { skip: !IS_BUN }, async (t) => {
  const server = http2.createServer();
  const answer = unreadAndOthers((stream) => stream.end("hello"));
  server.on("stream", (stream: HttpStream, headers) => answer(stream, headers, undefined as never));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  t.after(() => server.close());
  const client = await FrameClient.open(t, (server.address() as net.AddressInfo).port);
  client.send(FrameClient.opening, request(UNREAD));
  await client.dataUpTo(UNREAD, INITIAL_WINDOW_BYTES);
  client.send(request(3));
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.equal(client.dataBytes(3), 0, "This Bun sends it: drop what ADR 8 says of held streams");
  await client.settle();
  assert.equal(client.dataBytes(3), 5);
});
