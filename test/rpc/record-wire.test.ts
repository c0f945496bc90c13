import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import { bytesEqual } from "../../src/base/bytes.ts";
import { ProglogError } from "../../src/base/errors.ts";
import { RecordSchema } from "../../src/gen/proglog/v1/record_pb.ts";
import { recordOfValue, validateRecord, valueOfRecord } from "../../src/rpc/record-wire.ts";
import { bytes, damage, records } from "./arbitrary-records.ts";

const SEED = Number(process.env["SEED"] ?? 20261125);
const RUNS = { numRuns: 3000, seed: SEED };

const damaged = damage(records);

function isValid(bytes: Uint8Array): boolean {
  try {
    validateRecord(bytes, 0);
    return true;
  } catch (thrown) {
    assert.ok(thrown instanceof ProglogError && thrown.reason === "RECORD_INVALID");
    return false;
  }
}

/**
 * The same verdict by another way: protobuf-es reads the fields one by one, and
 * what it lets pass is looked for afterwards.
 */
function isValidSlowly(source: Uint8Array, kind: "record" | "header" = "record"): boolean {
  const reader = new BinaryReader(source);
  try {
    while (reader.pos < reader.len) {
      const [number, wireType] = reader.tag();
      const known = kind === "record" ? number <= 4 : number <= 2;
      const wanted = kind === "record" && number === 4 ? WireType.Varint : WireType.LengthDelimited;
      if (known && wireType !== wanted) return false;
      if (wireType === WireType.StartGroup || wireType === WireType.EndGroup) return false;
      if (wireType !== WireType.LengthDelimited) {
        const content = reader.skip(wireType, number);
        if (wireType === WireType.Varint && content.length > 10) return false;
        if (wireType === WireType.Varint && content.length === 10 && (content[9] ?? 0) > 1)
          return false;
        continue;
      }
      const lengthStart = reader.pos;
      const length = reader.uint64();
      if (reader.pos - lengthStart === 10 && (source[reader.pos - 1] ?? 0) > 1) return false;
      if (BigInt(length) > BigInt(reader.len - reader.pos)) return false;
      const content = source.subarray(reader.pos, reader.pos + Number(length));
      reader.pos += Number(length);
      if (kind === "record" && number === 3 && !isValidSlowly(content, "header")) return false;
      if (kind === "header" && number === 1) {
        const name = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(content);
        if (name.startsWith("proglog-")) return false;
      }
    }
    return reader.pos === reader.len;
  } catch {
    return false;
  }
}

test("what protobuf-es encodes is valid, and its value is found", () => {
  fc.assert(
    fc.property(records, (record) => {
      assert.ok(isValid(record));
      assert.deepEqual(
        Uint8Array.from(valueOfRecord(record)),
        Uint8Array.from(fromBinary(RecordSchema, record).value),
      );
    }),
    RUNS,
  );
});

test("the verdict on damaged records is that of a slow and simple reading", () => {
  let validCount = 0;
  let invalidCount = 0;
  fc.assert(
    fc.property(damaged, (record) => {
      const verdict = isValid(record);
      assert.equal(verdict, isValidSlowly(record), `verdict ${verdict}`);
      if (verdict) validCount += 1;
      else invalidCount += 1;
    }),
    { ...RUNS, numRuns: 20_000 },
  );
  assert.ok(validCount > 1000 && invalidCount > 1000, `${validCount} valid, ${invalidCount} not`);
});

test("what is valid protobuf-es decodes, and encodes again to the same meaning", () => {
  fc.assert(
    fc.property(fc.oneof(records, damaged), (record) => {
      if (!isValid(record)) return;
      const decoded = fromBinary(RecordSchema, record);
      const again = fromBinary(RecordSchema, toBinary(RecordSchema, decoded));
      assert.deepEqual(again, decoded);
      assert.ok(bytesEqual(valueOfRecord(record), decoded.value));
    }),
    { ...RUNS, numRuns: 10_000 },
  );
});

test("any bytes at all get a verdict, and the same one", () => {
  fc.assert(
    fc.property(bytes(24), (record) => assert.equal(isValid(record), isValidSlowly(record))),
    { ...RUNS, numRuns: 20_000 },
  );
});

// A byte of 128 and more is only the beginning of a length, though the number fits.
test("a value of a length that takes two bytes is not taken for a small one", () => {
  for (let length = 0; length < 256; length += 1) {
    const record = new Uint8Array(2 + length).fill(1);
    record.set([0x12, length]);
    assert.equal(isValid(record), length < 128, `length ${length}`);
    assert.equal(isValidSlowly(record), length < 128);
  }
});

const FAULTS: readonly (readonly [string, readonly number[]])[] = [
  ["field 2 of a record is broken or cut off", [0x12, 5, 1, 2]],
  ["field 2 of a record is broken or cut off", [0x12]],
  ["it has a broken field tag", [0x80, 0x80]],
  ["it has a broken field tag", [0x82, 0x80, 0x80, 0x80, 0x80, 0x00, 0]],
  ["it has an impossible field number", [0x02, 0]],
  ["field 1 of a record has the wrong type", [0x08, 1]],
  ["field 4 of a record has the wrong type", [0x22, 1, 1]],
  ["field 7 of a record is broken or cut off", [0x3b, 0x3c]], // a group, even an empty one
  ["field 7 of a record is broken or cut off", [0x3c]],
  ["field 7 of a record is broken or cut off", [0x3f]],
  ["field 4 of a record is broken or cut off", [0x20, ...Array(10).fill(0x80), 1]],
  ["field 4 of a record is broken or cut off", [0x20, ...Array(9).fill(0xff), 2]],
  ["field 2 of a header is broken or cut off", [0x1a, 3, 0x12, 2, 1, 9]],
  ["field 1 of a header has the wrong type", [0x1a, 2, 0x08, 1]],
  ["a header name is not valid UTF-8", [0x1a, 4, 0x0a, 2, 0xc3, 0x28]],
  ['a header name begins with "proglog-"', [0x1a, 10, 0x0a, 8, ...Buffer.from("proglog-")]],
];

for (const [fault, record] of FAULTS) {
  test(`validateRecord() says that ${fault} (${Buffer.from(record).toString("hex")})`, () => {
    assert.throws(
      () => validateRecord(Uint8Array.from(record), 7),
      (thrown) =>
        thrown instanceof ProglogError &&
        thrown.reason === "RECORD_INVALID" &&
        thrown.metadata["recordNumber"] === "7" &&
        thrown.metadata["fault"] === fault,
    );
  });
}

test("fields that this server does not know are kept, whatever they are", () => {
  const unknown = [
    [0x28, 1],
    [0x31, 1, 2, 3, 4, 5, 6, 7, 8],
    [0x3a, 1, 9],
    [0x45, 1, 2, 3, 4],
  ];
  for (const field of unknown) validateRecord(Uint8Array.from([0x12, 1, 5, ...field]), 0);
  validateRecord(new Uint8Array(0), 0);
});

test("recordOfValue() encodes as protobuf-es does", () => {
  for (const size of [0, 1, 127, 128, 70_000]) {
    const value = new Uint8Array(size).fill(7);
    const expected = toBinary(RecordSchema, create(RecordSchema, { value }));
    assert.ok(bytesEqual(recordOfValue(value), expected));
    assert.ok(bytesEqual(valueOfRecord(recordOfValue(value)), value));
  }
});
