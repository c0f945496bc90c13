import type { Flags } from "./generator.ts";

/** Rows of appends. Calls in flight are those of each connection. */
export const SYNCED: Readonly<Record<string, Flags>> = {
  "one in flight, 100 B": { size: 100 },
  "one in flight, 1 KiB": { size: 1024 },
  "64 in flight, one connection, 100 B": { size: 100, inflight: 64 },
  "64 in flight, one connection, 1 KiB": { size: 1024, inflight: 64 },
  "64 connections, one each, 100 B": { size: 100, conns: 64 },
  "batches of 100, one in flight, 100 B": { size: 100, batch: 100 },
  "batches of 100, one in flight, 1 KiB": { size: 1024, batch: 100 },
  "batches of 100, 8 in flight, 100 B": { size: 100, batch: 100, inflight: 8 },
  "batches of 100, 16 in flight, 100 B": { size: 100, batch: 100, inflight: 16 },
  "batches of 100, 16 in flight, 1 KiB": { size: 1024, batch: 100, inflight: 16 },
};

/** Rows of tails: appends at a fixed rate, whatever the answers do. */
export const TAILS: Readonly<Record<string, Flags>> = {
  "1 tail, 200 appends/s": { mode: "e2e", size: 100, subs: 1, rate: 200 },
  "100 tails, 50 appends/s": { mode: "e2e", size: 100, subs: 100, rate: 50 },
};

export const CATCH_UP = [
  { what: "records of 100 B", size: 100, records: 1_000_000 },
  { what: "records of 1 KiB", size: 1024, records: 200_000 },
];

export const RESTART = { size: 1024, records: 2_000_000 };

/** Before anything is counted, for compilers and file systems. */
export const WARM_UP: Flags = { size: 100, inflight: 16, dur: "3s" };
export const TAIL_WARM_UP: Flags = { mode: "e2e", size: 100, subs: 10, rate: 50, dur: "3s" };

/** Calls in flight while syncs are counted. */
export const COUNTED_IN_FLIGHT = [1, 64];

/** A whole number of every peer's batches. */
export function scaled(records: number, part: number): number {
  return Math.max(1, Math.floor((records * part) / FILL_UNIT)) * FILL_UNIT;
}

const FILL_UNIT = 1000;
