import assert from "node:assert/strict";
import { Socket } from "node:net";
import { test } from "node:test";
import { ProglogError } from "../../src/base/errors.ts";
import { Call } from "../../src/rpc/call.ts";
import { GatheredBytes } from "../../src/rpc/gathered-bytes.ts";
import { BareMessage, EnvelopedMessage, type OneMessage } from "../../src/rpc/lean/one-message.ts";
import { envelope } from "./raw-calls.ts";

const BYTES = Uint8Array.from({ length: 5_000 }, (_, at) => at % 251);

function callOf(headers: Record<string, string>): Call {
  return new Call({
    method: "a.B/C",
    protocol: "grpc",
    headers,
    connection: new Socket(),
    deadlineMs: undefined,
    budgets: [],
  });
}

const bare = (headers: Record<string, string>) => new BareMessage(callOf(headers), 10_000);

function enveloped(): OneMessage {
  const compressed = () => new ProglogError("INTERNAL", "compressed");
  return new EnvelopedMessage({ endFlag: 0, requestBytesMax: 10_000, compressed }, "unary");
}

/** Reads `body` byte by byte, all in the same piece of memory: what is not copied is lost. */
function readByBytes(message: OneMessage, body: Uint8Array): Uint8Array {
  const piece = new Uint8Array(1);
  for (const byte of body) {
    piece[0] = byte;
    assert.equal(message.read(piece), undefined);
  }
  const found = message.finish();
  assert.ok(found instanceof Uint8Array);
  return found;
}

test("what is gathered takes no more than twice its bytes, and no more than it may come to", () => {
  const gathered = new GatheredBytes();
  for (const [at, byte] of BYTES.entries()) {
    gathered.add(Uint8Array.of(byte), BYTES.length);
    const room = gathered.bytes.buffer.byteLength;
    assert.ok(room <= Math.max(512, 2 * (at + 1)) && room <= BYTES.length, `${room} for ${at + 1}`);
  }
  gathered.add(Uint8Array.of(7), BYTES.length);
  assert.deepEqual(gathered.take(), Uint8Array.of(...BYTES, 7), "more than was said has room too");
  assert.equal(gathered.length, 0);
});

// Goal: a byte that is sent costs a byte. Method: pieces whose memory is used again.
test("the pieces of a message are not kept", () => {
  const promised = { "content-length": `${BYTES.length}` };
  assert.deepEqual(readByBytes(bare(promised), BYTES), BYTES);
  assert.deepEqual(readByBytes(bare({}), BYTES), BYTES);
  const message = readByBytes(enveloped(), envelope(BYTES));
  assert.deepEqual(message, BYTES);
  assert.equal(message.buffer.byteLength, BYTES.length + 5);
});

test("a message that comes in one piece is not copied", () => {
  const body = envelope(BYTES);
  const inEnvelope = enveloped();
  inEnvelope.read(body);
  const plain = bare({ "content-length": `${body.length}` });
  plain.read(body);
  for (const found of [inEnvelope.finish(), plain.finish()]) {
    assert.ok(found instanceof Uint8Array);
    assert.equal(found.buffer, body.buffer);
  }
});
