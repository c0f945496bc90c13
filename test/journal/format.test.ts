import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { concat, viewOf } from "../../src/base/bytes.ts";
import {
  decodeFileHead,
  decodeFlushHeader,
  encodeFileHead,
  FORMAT_VERSION,
  flushBytes,
  HEADER_BYTES,
} from "../../src/journal/flush.ts";
import { FrameBuffer } from "../../src/journal/frame-buffer.ts";
import { checkFrames, TYPE_AT } from "../../src/journal/frames.ts";
import { crc32 } from "../../src/platform/crc32.ts";
import { runGolden } from "../support/golden.ts";
import { dump, fieldsOf, makeFlush, readFlush } from "./format-text.ts";

const HEADER = { sequence: 3, salt: 12_345_678_901, number: 9, syncedThrough: 8, previousCrc: 77 };
const LINES = [
  "hard replica=7 term=5 vote=9 commit=3",
  "entry replica=7 index=2 term=5 kind=1 payload=hello",
  "entry replica=8 index=4 term=1 kind=0 payload=",
];

test("the format is what the golden file says, byte by byte", async () => {
  await runGolden(new URL("testdata/format.txt", import.meta.url), {
    head: (input) => {
      const fields = fieldsOf(input);
      const block = encodeFileHead({
        sequence: Number(fields["sequence"]),
        salt: Number(fields["salt"]),
      });
      return dump(block);
    },
    flush: (input) => {
      const [first = "", ...lines] = input.trimEnd().split("\n");
      const fields = fieldsOf(first);
      const n = (key: string) => Number(fields[key]);
      const header = {
        sequence: n("sequence"),
        salt: n("salt"),
        number: n("number"),
        syncedThrough: n("syncedThrough"),
        previousCrc: n("previousCrc"),
      };
      const bytes = makeFlush(header, lines);
      return `${dump(bytes)}\n${bytes.length} bytes, ${readFlush(bytes, header)}`;
    },
  });
});

test("a file's head is refused after any flipped bit, and with the name of another version", () => {
  const block = encodeFileHead({ sequence: 3, salt: 99 });
  assert.deepEqual(decodeFileHead(block), { sequence: 3, salt: 99 });
  for (let bit = 0; bit < HEADER_BYTES * 8; bit += 1) {
    assert.equal(decodeFileHead(flipped(block, bit)), "damaged", `bit ${bit}`);
  }
  assert.equal(decodeFileHead(ofVersion(block, FORMAT_VERSION + 1)), "unsupported");
  assert.equal(decodeFileHead(block.subarray(0, HEADER_BYTES - 1)), "damaged");
});

test("a flush is refused after any flipped bit of header or frames", () => {
  const bytes = makeFlush(HEADER, LINES);
  assert.equal(readFlush(bytes, HEADER), "valid");
  const header = decodeFlushHeader(bytes, HEADER);
  assert.ok(typeof header === "object");
  const end = HEADER_BYTES + header.frameBytes;
  for (let bit = 0; bit < end * 8; bit += 1) {
    assert.notEqual(readFlush(flipped(bytes, bit), HEADER), "valid", `bit ${bit}`);
  }
  // Padding says nothing, so a flipped bit there loses nothing.
  assert.equal(readFlush(flipped(bytes, end * 8), HEADER), "valid");
});

test("a flush is refused when it is cut anywhere", () => {
  const bytes = makeFlush(HEADER, LINES);
  const header = decodeFlushHeader(bytes, HEADER);
  assert.ok(typeof header === "object");
  for (let cut = 0; cut < HEADER_BYTES + header.frameBytes; cut += 1) {
    assert.notEqual(readFlush(bytes.subarray(0, cut), HEADER), "valid", `cut at ${cut}`);
  }
});

test("a flush is no flush in a file of another sequence or salt", () => {
  const bytes = makeFlush(HEADER, LINES);
  assert.equal(readFlush(bytes, { ...HEADER, sequence: 4 }), "none");
  assert.equal(readFlush(bytes, { ...HEADER, salt: HEADER.salt + 1 }), "none");
  assert.equal(readFlush(bytes, { sequence: 3 }), "valid");
});

test("frames of another file are refused under this file's header", () => {
  const own = makeFlush(HEADER, LINES);
  const other = makeFlush({ ...HEADER, salt: HEADER.salt + 1 }, LINES);
  const mixed = concat([own.subarray(0, HEADER_BYTES), other.subarray(HEADER_BYTES)]);
  assert.equal(readFlush(mixed, HEADER), "a frame's checksum does not match");
});

test("a flush of another version is unsupported in this file and nothing in another", () => {
  const bytes = ofVersion(makeFlush(HEADER, LINES), FORMAT_VERSION + 1);
  assert.equal(readFlush(bytes, HEADER), "unsupported");
  assert.equal(readFlush(bytes, { ...HEADER, salt: 1 }), "none");
});

test("frames of an unknown type or size are unsupported when their checksums fit", () => {
  const header = { ...HEADER, salt: 0 };
  for (const change of [
    (frame: Uint8Array) => frame.fill(0, TYPE_AT, TYPE_AT + 1),
    (frame: Uint8Array) => frame.fill(10, TYPE_AT, TYPE_AT + 1),
    // An entry that calls itself a close mark: its body is too long for one.
    (frame: Uint8Array) => frame.fill(8, TYPE_AT, TYPE_AT + 1),
  ]) {
    const bytes = makeFlush(header, ["entry replica=7 index=2 term=1 kind=0 payload=hello"]);
    const decoded = decodeFlushHeader(bytes, header);
    assert.ok(typeof decoded === "object");
    const frames = bytes.subarray(HEADER_BYTES, HEADER_BYTES + decoded.frameBytes);
    change(frames);
    viewOf(frames).setUint32(0, crc32(frames.subarray(4)), true);
    const framesCrc = crc32(frames.subarray(0, 8));
    assert.equal(checkFrames(frames, { ...decoded, framesCrc }), "unsupported");
  }
});

test("frames of any payloads come back valid, in parts small and large", () => {
  const size = fc.oneof(fc.nat({ max: 20 }), fc.constantFrom(1, 4095, 4096, 4097, 70_000));
  const sizes = fc.array(fc.array(size, { maxLength: 5 }), { maxLength: 6 });
  fc.assert(
    fc.property(sizes, fc.maxSafeNat(), (sizesOfEntries, salt) => {
      const payloads = sizesOfEntries.map((one) => one.map(bytesOf));
      const frames = new FrameBuffer();
      payloads.forEach((parts, at) => {
        frames.addEntry(7, { index: at + 2, term: 1, kind: 0, payload: parts });
        frames.addHardState(7, { term: 1, vote: 2, commit: 3 });
      });
      const framesCrc = (frames.seal(salt, 0) ^ (salt >>> 0)) >>> 0;
      const { frameBytes, frameCount } = frames;
      const parts: Uint8Array[] = [];
      frames.collect(parts, HEADER_BYTES, flushBytes(frameBytes) - HEADER_BYTES - frameBytes);
      const bytes = concat(parts);
      assert.equal(bytes.length, flushBytes(frameBytes) - HEADER_BYTES);
      const header = { ...HEADER, salt, frameBytes, frameCount, framesCrc };
      assert.equal(checkFrames(bytes.subarray(0, frameBytes), header), "valid");
      let at = 0;
      frames.visit((view, start, position) => {
        assert.equal(position, at);
        at += 8 + view.getUint32(start + 4, true);
      });
      assert.equal(at, frameBytes);
      for (const [number, one] of payloads.entries()) {
        assert.ok(contains(bytes, concat(one)), `payload ${number}`);
      }
    }),
    { numRuns: 60 },
  );
});

function bytesOf(size: number, at: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, place) => (place * 7 + size + at) % 251);
}

function contains(bytes: Uint8Array, wanted: Uint8Array): boolean {
  return Buffer.from(bytes).includes(Buffer.from(wanted));
}

function flipped(bytes: Uint8Array, bit: number): Uint8Array {
  const result = bytes.slice();
  result[bit >> 3] = (result[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return result;
}

function ofVersion(bytes: Uint8Array, version: number): Uint8Array {
  const result = bytes.slice();
  const view = viewOf(result);
  view.setUint32(4, version, true);
  view.setUint32(HEADER_BYTES - 4, crc32(result.subarray(0, HEADER_BYTES - 4)), true);
  return result;
}
