import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { concat } from "../../src/base/bytes.ts";
import { toOffset } from "../../src/base/units.ts";
import type { FrameCheck } from "../../src/storage/scan.ts";
import { type ScanOptions, type ScanResult, scanFrames } from "../../src/storage/scan.ts";
import { type FrameRun, scanFile } from "../../src/storage/scan-file.ts";
import { frameRecords } from "../../src/storage/store.ts";
import { runGolden } from "../support/golden.ts";
import { fromHex } from "./fixture.ts";

test("scanFrames() matches testdata/scan.txt", async () => {
  const check = (data: Uint8Array): FrameCheck => (data[0] === 0x68 ? "valid" : "damaged");
  await runGolden(new URL("testdata/scan.txt", import.meta.url), {
    scan: (input) => print(scanFrames(fromHex(input))),
    "scan-h": (input) => print(scanFrames(fromHex(input), { check })),
  });
});

// Goal: a crash may cut a store anywhere. Method: cut one at every byte and check that
// exactly the records stay that were whole.
test("scanFrames() keeps every whole record, wherever the store is cut", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 8 }), (records) => {
      const { bytes, ends } = frameRecords(records);
      for (let cut = 0; cut <= bytes.length; cut += 1) {
        const starts: number[] = [];
        const result = scanFrames(bytes.subarray(0, cut), { starts });
        const whole = [...ends].filter((end) => end <= cut);
        assert.equal(result.recordCount, whole.length);
        assert.equal(result.validBytes, whole.at(-1) ?? 0);
        assert.equal(result.stopped === undefined, result.validBytes === cut);
        assert.deepEqual(starts, [0, ...ends].slice(0, whole.length));
      }
    }),
  );
});

test("scanFrames() ends before a record of a newer format, and says so", () => {
  const { bytes } = frameRecords([Uint8Array.of(1), Uint8Array.of(9), Uint8Array.of(1)]);
  const check = (data: Uint8Array) => (data[0] === 9 ? "unsupported" : "valid");
  const result = scanFrames(bytes, { check });
  assert.deepEqual(result, { validBytes: 9, recordCount: 1, stopped: "unsupported" });
});

// Goal: a file is judged as its bytes are. Method: random frames, damaged and cut at random,
// walked with windows from smaller than a header to larger than the file.
test("scanFile() says of a file what scanFrames() says of its bytes", async () => {
  const check = (data: Uint8Array, offset: number): FrameCheck =>
    data.length > 0 && data[0] === 255 ? "damaged" : data[1] === offset ? "unsupported" : "valid";
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 20 }),
      fc.nat(),
      fc.option(fc.nat({ max: 20 }), { nil: undefined }),
      fc.integer({ min: 8, max: 200 }),
      fc.boolean(),
      async (records, cut, recordEnd, windowBytes, isChecked) => {
        const { bytes: whole } = frameRecords(records);
        const bytes = whole.subarray(0, cut % (whole.length + 1));
        const starts: number[] = [];
        const options = { base: toOffset(7), ...(isChecked ? { check } : {}) };
        const wanted = scanFrames(bytes, { ...options, starts, recordsMax: recordEnd });
        const found = await walk(bytes, { ...options, recordEnd, windowBytes });
        assert.deepEqual(found.result, wanted);
        assert.deepEqual(found.starts, starts);
      },
    ),
    { numRuns: 500 },
  );
});

test("scanFile() goes on from the middle", async () => {
  const { bytes } = frameRecords(
    ["a", "bc", "def", "g"].map((text) => new TextEncoder().encode(text)),
  );
  const found = await walk(bytes, {
    base: toOffset(0),
    from: { record: 1, position: 9 },
    recordEnd: 3,
  });
  assert.deepEqual(found.starts, [9, 19]);
  assert.deepEqual(found.result, { validBytes: 30, recordCount: 3, stopped: undefined });
});

test("scanFile() skips large records that nobody checks, and reads those that are checked whole", async () => {
  const large = new Uint8Array(3_000_000).fill(5);
  const { bytes } = frameRecords([Uint8Array.of(1), large, Uint8Array.of(2)]);
  let readBytes = 0;
  const options = { size: bytes.length, base: toOffset(0) };
  const read = countingReader(bytes, (count) => {
    readBytes += count;
  });
  for await (const run of scanFile(read, options)) assert.ok(run.starts.length > 0);
  assert.ok(readBytes < bytes.length, `${readBytes} of ${bytes.length} bytes were read`);
  const sizes: number[] = [];
  const check = (data: Uint8Array): FrameCheck => {
    sizes.push(data.length);
    return "valid";
  };
  for await (const run of scanFile(read, { ...options, check })) assert.ok(run.starts.length > 0);
  assert.deepEqual(sizes, [1, 3_000_000, 1]);
});

test("scanFile() judges by what is there when the file was cut meanwhile", async () => {
  const { bytes } = frameRecords([Uint8Array.of(1), Uint8Array.of(2, 3)]);
  const found = await walk(bytes.subarray(0, 15), { base: toOffset(0), size: bytes.length });
  assert.deepEqual(found.result, { validBytes: 9, recordCount: 1, stopped: "torn-header" });
});

interface WalkOptions extends Omit<ScanOptions, "base"> {
  readonly base: ReturnType<typeof toOffset>;
  readonly size?: number;
  readonly from?: { readonly record: number; readonly position: number };
  readonly recordEnd?: number | undefined;
  readonly windowBytes?: number;
}

async function walk(bytes: Uint8Array, options: WalkOptions) {
  const starts: number[] = [];
  const scan = scanFile(countingReader(bytes), { size: bytes.length, ...options });
  let step = await scan.next();
  while (step.done !== true) {
    const run: FrameRun = step.value;
    assert.equal(run.record, starts.length + (options.from?.record ?? 0));
    starts.push(...run.starts);
    step = await scan.next();
  }
  return { starts, result: step.value };
}

function countingReader(bytes: Uint8Array, count: (bytes: number) => void = () => undefined) {
  return async (target: Uint8Array, at: number) => {
    const found = bytes.subarray(at, at + target.length);
    target.set(found);
    count(found.length);
    return found.length;
  };
}

function print(result: ScanResult): string {
  return `records=${result.recordCount} valid=${result.validBytes} stopped=${result.stopped ?? "-"}`;
}

test("frames follow each other without gaps", () => {
  const { bytes } = frameRecords([Uint8Array.of(1), Uint8Array.of()]);
  assert.deepEqual(bytes, concat([fromHex("01 00 00 00 00 00 00 00 01"), new Uint8Array(8)]));
});
