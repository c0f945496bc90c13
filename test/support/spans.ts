import type { RecordSpans } from "../../src/base/record-spans.ts";

/** Copies of records as callers hand them over or as they come out of an entry. */
export function listOf(records: readonly Uint8Array[] | RecordSpans): Uint8Array[] {
  if (!("count" in records)) return records.map((record) => Uint8Array.from(record));
  const { bytes, starts, ends, count } = records;
  return Array.from({ length: count }, (_, at) => bytes.slice(starts[at], ends[at]));
}
