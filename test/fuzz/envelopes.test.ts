import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { concat } from "../../src/base/bytes.ts";
import { ProglogError } from "../../src/base/errors.ts";
import { EnvelopeReader } from "../../src/rpc/lean/envelope-reader.ts";
import { REQUEST_SLACK_BYTES } from "../../src/rpc/limits.ts";
import { envelope } from "../rpc/raw-calls.ts";
import { changes, cuts, mutate, split } from "./support/mutations.ts";
import { runs } from "./support/runs.ts";

/** Most bytes of a message here: small, so that messages over it are small too. */
const BYTES_MAX = 300;
const HEADER_BYTES = 5;
const COMPRESSED_FLAG = 1;

/** What came out of a stream: messages, and then why there are no more. */
interface Reading {
  readonly messages: readonly string[];
  readonly end: "whole" | "cut" | "too large" | "compressed";
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

const compressed = () => new ProglogError("INTERNAL", "compressed");

function readByPieces(pieces: readonly Uint8Array[], endFlag: number): Reading {
  const requestBytesMax = BYTES_MAX - REQUEST_SLACK_BYTES;
  const reader = new EnvelopeReader({ endFlag, requestBytesMax, compressed });
  const messages: Uint8Array[] = [];
  for (const piece of pieces) {
    const error = reader.read(piece, messages);
    if (error === undefined) continue;
    const end = error.reason === "REQUEST_TOO_LARGE" ? "too large" : "compressed";
    return { messages: messages.map(hex), end };
  }
  return { messages: messages.map(hex), end: reader.restBytes > 0 ? "cut" : "whole" };
}

/** The same by the words of the specification, with everything at hand. */
function readAtOnce(bytes: Uint8Array, endFlag: number): Reading {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const messages: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    if (at + HEADER_BYTES > bytes.length) return { messages, end: "cut" };
    const flags = view.getUint8(at);
    const length = view.getUint32(at + 1);
    if (length > BYTES_MAX) return { messages, end: "too large" };
    if ((flags & COMPRESSED_FLAG) !== 0) return { messages, end: "compressed" };
    const end = at + HEADER_BYTES + length;
    if (end > bytes.length) return { messages, end: "cut" };
    if ((flags & endFlag) === 0) messages.push(hex(bytes.subarray(at + HEADER_BYTES, end)));
    at = end;
  }
  return { messages, end: "whole" };
}

const streams = fc
  .array(
    fc.tuple(
      fc.oneof(
        fc.uint8Array({ maxLength: BYTES_MAX + 20 }),
        fc.constant(new Uint8Array(BYTES_MAX)),
      ),
      fc.constantFrom(0, 0, 0, 0, 0, 0, 2, 1, 0x80, 0xff),
    ),
    { maxLength: 6 },
  )
  .map((messages) => concat(messages.map(([message, flags]) => envelope(message, flags))));

// Goal: where the network cuts a stream means nothing, and nothing in it can make the
// reader hold more than a message. Method: compare with a reader that has all at hand.
test("messages of a stream are found wherever it is cut, damaged or not", () => {
  const seen = new Map<string, number>();
  fc.assert(
    fc.property(streams, changes(3), cuts, fc.constantFrom(0, 2), (stream, damage, at, flag) => {
      const bytes = mutate(stream, damage);
      const reading = readAtOnce(bytes, flag);
      assert.deepEqual(readByPieces(split(bytes, at), flag), reading);
      seen.set(reading.end, (seen.get(reading.end) ?? 0) + 1);
    }),
    runs(20_000),
  );
  for (const end of ["whole", "cut", "too large", "compressed"]) {
    assert.ok((seen.get(end) ?? 0) > 100, `${end}: ${seen.get(end)} cases`);
  }
});

test("messages of a stream are found when it comes byte by byte, or in two at every byte", () => {
  fc.assert(
    fc.property(streams, changes(2), (stream, damage) => {
      const bytes = mutate(stream, damage);
      const reading = readAtOnce(bytes, 2);
      assert.deepEqual(
        readByPieces(
          Array.from(bytes, (byte) => Uint8Array.of(byte)),
          2,
        ),
        reading,
      );
      for (let at = 1; at < bytes.length; at += 1) {
        assert.deepEqual(readByPieces([bytes.subarray(0, at), bytes.subarray(at)], 2), reading);
      }
    }),
    runs(500),
  );
});

test("a message over the limit is refused by its length alone", () => {
  for (const length of [BYTES_MAX + 1, 2 ** 31, 2 ** 32 - 1]) {
    const header = envelope(new Uint8Array(0));
    new DataView(header.buffer).setUint32(1, length);
    assert.equal(readByPieces([header], 0).end, "too large");
    assert.equal(
      readByPieces(
        Array.from(header, (byte) => Uint8Array.of(byte)),
        0,
      ).end,
      "too large",
    );
  }
});
