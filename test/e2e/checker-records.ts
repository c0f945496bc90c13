import type { ConsumedRecord } from "../../src/gen/proglog/v1/record_pb.ts";
import type { Batch } from "./checker-history.ts";
import { recordIdOf } from "./checker-history.ts";

/** Lengths of values: most records are small, some fill a page. */
const VALUE_BYTES_MAX = 3_000;

/** The records of a batch: their keys say which they are, their values follow from their keys. */
export function recordsOf({ producer, first, count }: Batch) {
  return Array.from({ length: count }, (_, at) => {
    const key = Buffer.from(`${producer}:${first + at}`);
    return { key, value: contentOf(producer, first + at) };
  });
}

/** @returns the record's id, or undefined when its content is not what its producer wrote */
export function idOf({ record }: ConsumedRecord): number | undefined {
  const [, producer, number] =
    /^(\d+):(\d+)$/.exec(Buffer.from(record?.key ?? []).toString()) ?? [];
  if (producer === undefined || number === undefined) return undefined;
  const want = contentOf(Number(producer), Number(number));
  if (!want.equals(record?.value ?? new Uint8Array())) return undefined;
  return recordIdOf(Number(producer), Number(number));
}

function contentOf(producer: number, number: number): Buffer {
  const mixed = Math.imul(number + 1, 2_654_435_761) ^ Math.imul(producer + 1, 40_503);
  const isLarge = (mixed & 31) === 0;
  const length = (mixed >>> 5) % (isLarge ? VALUE_BYTES_MAX : 200);
  return Buffer.alloc(length, `${producer}.${number}.`);
}
