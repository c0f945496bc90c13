import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  ConsumeStreamResponseSchema,
  ProduceRequestSchema,
} from "../src/gen/proglog/v1/log_service_pb.ts";
import { encodeConsumed, measureConsumed } from "../src/rpc/hot/consumed-wire.ts";
import { ProduceScanner } from "../src/rpc/hot/produce-scan.ts";
import { RPC_LIMITS } from "../src/rpc/limits.ts";
import type { RecordRun } from "../src/topics/topics.ts";

/*
 * What the hot methods do for each record, beside what protobuf-es does, in
 * nanoseconds of CPU a record. Run with `node bench/rpc-wire.ts` or `bun`.
 */

const VALUE_BYTES = 100;
/** What the store has before each body. */
const GAP_BYTES = 26;
const RECORDS = 2000;
const ROUNDS = 5;
const ROUND_MS = 200;

const values = Array.from({ length: RECORDS }, (_, n) => new Uint8Array(VALUE_BYTES).fill(n));
const request = toBinary(
  ProduceRequestSchema,
  create(ProduceRequestSchema, {
    topic: "default",
    records: values.map((value) => ({ value })),
  }),
);
const keyed = toBinary(
  ProduceRequestSchema,
  create(ProduceRequestSchema, {
    topic: "default",
    records: values.map((value, n) => ({
      key: value.subarray(0, 8),
      value,
      headers: [{ name: "traceparent", value: value.subarray(0, 55) }],
      clientTimeUnixUs: BigInt(1_767_225_600_000_000 + n),
    })),
  }),
);

function storedRun(): RecordRun {
  const bodyBytes = VALUE_BYTES + 2;
  const frameBytes = GAP_BYTES + bodyBytes;
  const bytes = new Uint8Array(RECORDS * frameBytes);
  const starts = Uint32Array.from(values, (_, n) => n * frameBytes + GAP_BYTES);
  for (const [n, value] of values.entries()) bytes.set([18, value.length, ...value], starts[n]);
  return {
    count: RECORDS,
    bytes,
    starts,
    ends: starts.map((start) => start + bodyBytes),
    offsets: Float64Array.from(values, (_, n) => 1_000_000 + n),
    appendTimesUs: new Float64Array(RECORDS).fill(1_767_225_600_000_000),
    resumeOffset: 1_000_000 + RECORDS,
  };
}

const run = storedRun();
const scanner = new ProduceScanner(RPC_LIMITS);
const cases: Record<string, () => unknown> = {
  "scan of a request": () => scanner.scanRequest(request).recordCount,
  "scan of a request, all fields": () => scanner.scanRequest(keyed).recordCount,
  "protobuf-es: fromBinary": () => fromBinary(ProduceRequestSchema, request).records.length,
  "protobuf-es: fromBinary, all fields": () =>
    fromBinary(ProduceRequestSchema, keyed).records.length,
  "measure of an answer": () => measureConsumed(run, Number.POSITIVE_INFINITY).byteLength,
  "measure and encoding of an answer": () =>
    encodeConsumed({ run, measure: measureConsumed(run, Number.POSITIVE_INFINITY) }).length,
  "protobuf-es: create and toBinary": () =>
    toBinary(
      ConsumeStreamResponseSchema,
      create(ConsumeStreamResponseSchema, {
        records: values.map((value, n) => ({
          offset: BigInt(1_000_000 + n),
          appendTimeUnixUs: 1_767_225_600_000_000n,
          record: { value },
        })),
      }),
    ).length,
};

/** Nanoseconds of CPU a record. */
function measure(work: () => unknown): number {
  const start = process.cpuUsage();
  const endMs = performance.now() + ROUND_MS;
  let count = 0;
  while (performance.now() < endMs) {
    work();
    count += RECORDS;
  }
  const { user, system } = process.cpuUsage(start);
  return ((user + system) * 1000) / count;
}

const found = new Map<string, number[]>();
for (let round = 0; round < ROUNDS; round += 1) {
  for (const [name, work] of Object.entries(cases)) {
    const all = found.get(name) ?? [];
    found.set(name, [...all, measure(work)]);
  }
}
for (const [name, all] of found) {
  const sorted = all.toSorted((left, right) => left - right);
  console.log(`${name.padEnd(40)} ${sorted[ROUNDS >> 1]?.toFixed(1).padStart(8)} ns/record`);
}
