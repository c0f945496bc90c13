import { Durability } from "../../../src/gen/proglog/v1/record_pb.ts";
import {
  type Check,
  expect,
  expectEqual,
  makeTopic,
  readAll,
  type Subject,
  text,
  textOf,
} from "./check.ts";

const BATCH_RECORDS = 1_000;
const STREAM_BATCHES = 1_000;
const LARGE_RECORDS = 6;
const LARGE_RECORD_BYTES = 900_000;
const HUGE_RECORD_BYTES = 5_000_000;

const produce: Check = async (subject) => {
  const topic = await makeTopic(subject);
  const first = await subject.log.produce({ topic, records: [{ value: text("one") }] });
  expectEqual([first.firstOffset, first.lastOffset], [0n, 0n], "the first record's offset");
  expectEqual(first.durability, Durability.SYNCED_ONE, "the durability");
  expect(first.appendTimeUnixUs > 0n, "the answer has no append time");
  const next = await subject.log.produce({ topic, records: [{ value: text("two") }] });
  expectEqual(next.firstOffset, 1n, "the second record's offset");
};

const produceBatch: Check = async (subject) => {
  const topic = await makeTopic(subject);
  const records = Array.from({ length: BATCH_RECORDS }, (_, number) => ({
    key: text(`key-${number}`),
    value: text(`value ${number} `.repeat(1 + (number % 7))),
    headers: [
      { name: "number", value: text(`${number}`) },
      { name: "ünïcode", value: allBytes() },
      { name: "number", value: new Uint8Array(0) },
    ],
    ...(number % 2 === 0 ? {} : { clientTimeUnixUs: BigInt(number) - 500n }),
  }));
  const answer = await subject.log.produce({ topic, records });
  expectEqual(answer.lastOffset, BigInt(BATCH_RECORDS - 1), "the last offset");
  const found = await readAll(subject, topic);
  expectEqual(found.length, BATCH_RECORDS, "the number of records read back");
  for (const [number, wanted] of records.entries()) {
    const { offset, record } = found[number] ?? {};
    const what = `record ${number}`;
    expectEqual(offset, BigInt(number), `${what}: its offset`);
    expectEqual(record?.key, wanted.key, `${what}: its key`);
    expectEqual(record?.value, wanted.value, `${what}: its value`);
    expectEqual(record?.clientTimeUnixUs, wanted.clientTimeUnixUs, `${what}: its time`);
    const pairs = (headers: typeof wanted.headers = []) =>
      headers.map(({ name, value }) => [name, value]);
    const headers = record?.headers.map(({ name, value }) => [name, value]);
    expectEqual(headers, pairs(wanted.headers), `${what}: its headers`);
  }
};

/** Many batches are on their way before the first answer is awaited. Needs bidirectional streams. */
const produceStream: Check = async (subject) => {
  const topic = await makeTopic(subject);
  async function* batches() {
    for (let number = 0; number < STREAM_BATCHES; number += 1) {
      yield { batches: [{ topic, records: [{ value: text(`${number}`) }] }] };
    }
  }
  let next = 0n;
  for await (const { acknowledgements } of subject.log.produceStream(batches())) {
    for (const { firstOffset, lastOffset } of acknowledgements) {
      expectEqual([firstOffset, lastOffset], [next, next], "the offsets acknowledged");
      next += 1n;
    }
  }
  expectEqual(next, BigInt(STREAM_BATCHES), "the number of acknowledgements");
  const values = (await readAll(subject, topic)).map(textOf);
  expectEqual(
    values,
    Array.from({ length: STREAM_BATCHES }, (_, n) => `${n}`),
    "what was written",
  );
};

const largeMessage: Check = async (subject) => {
  const topic = await makeTopic(subject, { maxRecordBytes: HUGE_RECORD_BYTES + 1_000 });
  const records = Array.from({ length: LARGE_RECORDS }, (_, number) => ({
    value: noise(LARGE_RECORD_BYTES, number),
  }));
  await subject.log.produce({ topic, records });
  // One record is returned whatever its size: this answer is over 4 MiB.
  const huge = noise(HUGE_RECORD_BYTES, LARGE_RECORDS);
  await subject.log.produce({ topic, records: [{ value: huge }] });
  const found = await readAll(subject, topic);
  expectEqual(found.length, LARGE_RECORDS + 1, "the number of records read back");
  for (const [number, wanted] of [...records.map(({ value }) => value), huge].entries()) {
    expect(isEqual(found[number]?.record?.value, wanted), `large record ${number} differs`);
  }
};

const seed: Check = async (subject: Subject) => {
  const wanted = allBytes();
  const { offset } = await subject.seed.produce({ record: wanted });
  const found = await subject.seed.consume({ offset });
  expectEqual(found.record, wanted, "the record");
  expectEqual(found.offset, offset, "the offset");
};

/** Every byte there is: text transports and wrong encodings would change some. */
function allBytes(): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: 256 }, (_, byte) => byte);
}

/** Bytes that do not repeat within a chunk, so that one that is lost or moved is seen. */
function noise(length: number, seed: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  let state = seed + 1;
  for (let at = 0; at < length; at += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}

function isEqual(found: Uint8Array | undefined, wanted: Uint8Array): boolean {
  return (
    found?.length === wanted.length && wanted.every((byte, position) => byte === found[position])
  );
}

/** What a client can do that has no bidirectional streams. */
export const WRITE_CHECKS: Readonly<Record<string, Check>> = {
  produce,
  "produce-batch": produceBatch,
  "large-message": largeMessage,
  seed,
};

/** For the others besides. */
export const STREAM_CHECKS: Readonly<Record<string, Check>> = { "produce-stream": produceStream };
