import assert from "node:assert/strict";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { JsonRecordError, parseJsonRecord } from "../../src/cli/json-records.ts";
import type { Output } from "../../src/cli/output.ts";
import { parseFormat } from "../../src/cli/record-formats.ts";
import { parseStartPlace } from "../../src/cli/start-place.ts";
import { parseTime, printTime } from "../../src/cli/time.ts";
import { ConsumedRecord } from "../../src/client/consumed-record.ts";
import { ConsumedRecordSchema, RecordSchema } from "../../src/gen/proglog/v1/record_pb.ts";

/** Collects what would be printed. */
class Collected {
  readonly parts: Buffer[] = [];

  append(source: Uint8Array, start = 0, end = source.length): void {
    this.parts.push(Buffer.from(source.subarray(start, end)));
  }
  appendByte(byte: number): void {
    this.parts.push(Buffer.from([byte]));
  }
  appendText(text: string): void {
    this.parts.push(Buffer.from(text));
  }
  appendLine(text: string): void {
    this.appendText(`${text}\n`);
  }
}

interface Sample {
  readonly key?: Uint8Array;
  readonly value?: Uint8Array;
  readonly headers?: readonly { readonly name: string; readonly value: Uint8Array }[];
  readonly clientTimeUnixUs?: bigint;
}

function decoded(sample: Sample): ConsumedRecord {
  const bytes = toBinary(
    ConsumedRecordSchema,
    create(ConsumedRecordSchema, {
      offset: 7n,
      appendTimeUnixUs: 1_764_072_000_000_123n,
      record: create(RecordSchema, { ...sample, headers: [...(sample.headers ?? [])] }),
    }),
  );
  const record = new ConsumedRecord();
  record.decode(bytes, 0, bytes.length);
  return record;
}

function print(format: string, sample: Sample): Buffer {
  const collected = new Collected();
  parseFormat(format, "orders")(decoded(sample), collected as unknown as Output);
  return Buffer.concat(collected.parts);
}

test("a JSON line that is no record says why", () => {
  const why = (line: string) => {
    try {
      parseJsonRecord(Buffer.from(line));
    } catch (thrown) {
      assert.ok(thrown instanceof JsonRecordError, String(thrown));
      return thrown.message;
    }
    assert.fail(`${line} was accepted`);
  };
  assert.equal(why("{"), "it is not valid JSON");
  assert.equal(why(""), "it is not valid JSON");
  assert.equal(why("[]"), "a record is not an object");
  assert.equal(why("null"), "a record is not an object");
  assert.equal(why('{"vaule":"x"}'), '"vaule" is not a known key. Did you mean "value"?');
  assert.equal(why('{"value":1}'), '"value" is not text');
  assert.equal(why('{"value":null}'), '"value" is not text');
  assert.equal(why('{"valueBase64":"a"}'), '"valueBase64" is not base64');
  assert.equal(why('{"valueBase64":"a b="}'), '"valueBase64" is not base64');
  assert.equal(why('{"value":"a","valueBase64":"YQ=="}'), 'it has both "value" and "valueBase64"');
  assert.equal(why('{"headers":{}}'), '"headers" is not a list');
  assert.equal(why('{"headers":[{}]}'), '"name" of a header is not text');
  assert.match(why('{"clientTimeUnixUs":"9223372036854775808"}'), /64 bits$/);
  assert.match(why('{"clientTimeUnixUs":1.5}'), /64 bits$/);
  assert.equal(
    (() => {
      try {
        return parseJsonRecord(Buffer.from([0x22, 0xff, 0x22]));
      } catch (thrown) {
        return (thrown as Error).message;
      }
    })(),
    "it is not valid JSON",
  );
});

// Goal: JSON loses nothing. Method: any record, printed and read back, is the same record.
test("what consume prints as JSON, produce reads back byte for byte", () => {
  const bytes = fc.uint8Array({ maxLength: 20 });
  const text = fc.string({ unit: "binary", maxLength: 10 });
  const headers = fc.array(fc.record({ name: text, value: bytes }), { maxLength: 3 });
  const time = fc.option(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), { nil: undefined });
  const value = fc.oneof(
    bytes,
    text.map((string) => Buffer.from(string)),
  );
  fc.assert(
    fc.property(bytes, value, headers, time, (key, recordValue, recordHeaders, clientTimeUs) => {
      const line = print("json", {
        key,
        value: recordValue,
        headers: recordHeaders,
        ...(clientTimeUs === undefined ? {} : { clientTimeUnixUs: clientTimeUs }),
      });
      assert.equal(line.indexOf(10), line.length - 1, "one line");
      const back = parseJsonRecord(line.subarray(0, -1));
      assert.deepEqual(Buffer.from(back.key), Buffer.from(key));
      assert.deepEqual(Buffer.from(back.value), Buffer.from(recordValue));
      assert.equal(back.clientTimeUs, clientTimeUs);
      assert.deepEqual(
        back.headers.map((header) => [header.name, Buffer.from(header.value)]),
        recordHeaders.map((header) => [header.name, Buffer.from(header.value)]),
      );
    }),
  );
});

test("text is the value as it is and a line feed", () => {
  const value = Buffer.from([0, 255, 13]);
  assert.deepEqual(print("text", { value }), Buffer.from([0, 255, 13, 10]));
  assert.deepEqual(print("text", {}), Buffer.from("\n"));
});

test("a pattern adds nothing of its own", () => {
  const sample = {
    key: Buffer.from("k"),
    value: Buffer.from([0, 255]),
    headers: [
      { name: "a", value: Buffer.from("1") },
      { name: "b", value: Buffer.from("") },
    ],
  };
  assert.deepEqual(print("%v", sample), Buffer.from([0, 255]));
  assert.equal(
    print("%t/%o/%k/%V/%d/%h/100%%\\t\\\\n\\n", sample).toString(),
    "orders/7/k/2/2025-11-25T12:00:00.000123Z/a=1,b=/100%\t\\n\n",
  );
});

test("a pattern that is none is refused with what there is", () => {
  assert.throws(() => parseFormat("%x", "t"), /"%x" is not known, there are %o offset, %v value/);
  assert.throws(() => parseFormat("%", "t"), /"%" is not known/);
  assert.throws(() => parseFormat("a\\q", "t"), /"\\q" is not known, there are \\n/);
  assert.throws(() => parseFormat("jsn", "t"), /"jsn" is not known, write text, json or a pattern/);
});

test("times are read as RFC 3339, as dates and as seconds, and printed in microseconds", () => {
  const us = 1_764_072_000_000_000;
  assert.equal(parseTime("2025-11-25T12:00:00Z"), us);
  assert.equal(parseTime("2025-11-25T13:30:00.5+01:30"), us + 500_000);
  assert.equal(parseTime("2025-11-25t12:00:00.1234567z"), us + 123_456);
  assert.equal(parseTime("2025-11-25"), us - 12 * 3_600_000_000);
  assert.equal(parseTime("1764072000"), us);
  assert.equal(parseTime("1764072000.000001"), us + 1);
  for (const text of ["", "yesterday", "2025-13-01", "2025-11-25T12:00Z", "12:00", "-5"]) {
    assert.equal(parseTime(text), undefined, text);
  }
  assert.equal(printTime(us + 1), "2025-11-25T12:00:00.000001Z");
});

test("places to begin are told apart", () => {
  assert.deepEqual(parseStartPlace("start", "--offset"), { at: "start" });
  assert.deepEqual(parseStartPlace("end", "--offset"), { at: "last", count: 0 });
  assert.deepEqual(parseStartPlace("12", "--offset"), { at: "offset", offset: 12 });
  assert.deepEqual(parseStartPlace("-12", "--offset"), { at: "last", count: 12 });
  assert.deepEqual(parseStartPlace("@1", "--offset"), { at: "time", timeUs: 1_000_000 });
  for (const text of ["", "x", "1.5", "--1", "9007199254740993", "@", "@x"]) {
    assert.throws(() => parseStartPlace(text, "--offset"), /^UsageError: Cannot read --offset: /);
  }
});
