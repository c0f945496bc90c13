import assert from "node:assert/strict";
import { test } from "node:test";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { Code } from "@connectrpc/connect";
import { concat } from "../../src/base/bytes.ts";
import { infoOf, MemoryLogger, startApi, text } from "./api.ts";
import { connect2, request2 } from "./ports.ts";
import { assertReason, callRaw, envelope, produceRequest, RAW_PROTOCOLS } from "./raw-calls.ts";

const PRODUCE = "/proglog.v1.LogService/Produce";
const PRODUCE_STREAM = "/proglog.v1.LogService/ProduceStream";

test("half a pair of surrogates in JSON is refused in every protocol", async (t) => {
  const logger = new MemoryLogger();
  const { port } = await startApi(t, { logger });
  for (const type of ["application/json", "application/grpc+json", "application/grpc-web+json"]) {
    for (const json of ['{"\\ud800":1}', '{"topic":"\\ud800"}']) {
      const body = type === "application/json" ? text(json) : envelope(text(json));
      const { error } = await callRaw(t, port, { path: PRODUCE, type, body });
      assert.match(infoOf(error).reason, /^(?:FIELD_UNKNOWN|MESSAGE_INVALID)$/, type);
    }
  }
  assert.deepEqual(logger.lines, []);
});

for (const protocol of RAW_PROTOCOLS) {
  test(`what clients do wrong fills no log (${protocol.name})`, async (t) => {
    const logger = new MemoryLogger();
    const { port } = await startApi(t, { logger });
    const whole = produceRequest(300);
    const messages = [
      new Uint8Array(0),
      text("\xff{}"),
      whole.subarray(0, 50),
      gzipSync(whole).subarray(0, 40),
      gzipSync(whole).subarray(0, 5),
      brotliCompressSync(whole).subarray(0, 20),
      concat([gzipSync(whole), text("more")]),
      gzipSync(text("no message")),
    ];
    for (const encoding of ["", "identity", "gzip", "br", "snappy"]) {
      for (const flags of [0, 1, 2, 3, 0x80, 0xff]) {
        for (const message of messages) {
          const headers = encoding === "" ? {} : { [protocol.encodingHeader]: encoding };
          const unary = protocol.hasEnvelopes ? envelope(message, flags) : message;
          await Promise.all([
            callRaw(t, port, { path: PRODUCE, type: protocol.unary, body: unary, headers }),
            callRaw(t, port, {
              path: PRODUCE_STREAM,
              type: protocol.streaming,
              body: envelope(message, flags),
              headers,
            }),
          ]);
        }
      }
    }
    const loud = logger.lines.filter(({ level }) => level !== "debug");
    assert.deepEqual(loud, []);
  });

  test(`a compressed message that no header explains is INTERNAL (${protocol.name})`, async (t) => {
    const logger = new MemoryLogger();
    const { port } = await startApi(t, { logger });
    const body = envelope(gzipSync(produceRequest(9)), 1);
    const call = { path: PRODUCE_STREAM, type: protocol.streaming, body };
    assertReason(await callRaw(t, port, call), "INTERNAL", Code.Internal);
    assert.deepEqual(
      logger.lines.map(({ level }) => level),
      ["debug"],
    );
  });
}

test("grpc-message is encoded no more than it must be, and read back whole", async (t) => {
  const { port } = await startApi(t);
  const session = await connect2(t, port);
  const ask = async (type: string, topic: string) => {
    const { trailers, headers, body } = await request2(
      session,
      { ":method": "POST", ":path": "/proglog.v1.TopicService/GetTopic", "content-type": type },
      envelope(text(JSON.stringify({ topic }))),
    );
    const trailer = /grpc-message: (.*)\r\n/.exec(body)?.[1];
    return trailer ?? trailers["grpc-message"] ?? headers["grpc-message"];
  };
  for (const type of ["application/grpc+json", "application/grpc-web+json"]) {
    assert.equal(await ask(type, "no"), 'There is no topic "no"');
    assert.match(
      String(await ask(type, "50% \u00e4")),
      /^Cannot use "50%25 %C3%A4" as a topic name: /,
    );
  }
  const headers = { ":method": "POST", ":path": "/a.B/C", "content-type": "application/grpc" };
  const unknown = await request2(session, headers, envelope(text("")));
  assert.equal(unknown.trailers["grpc-message"], 'This server has no method "a.B/C"');
});
