import type { CoreProgress, CoreReady, CoreRole, CoreStatus } from "./core.ts";
import type { CoreReader } from "./core-codec.ts";

/** Flags of a Ready, as `wasm/ready.go` writes them. */
const READY_HAS_SOFT = 1;
const READY_HAS_HARD = 2;
const READY_HAS_SNAPSHOT = 4;

/** Flags of a replica's progress, as `wasm/status.go` writes them. */
const PROGRESS_IS_LEARNER = 1;
const PROGRESS_IS_ACTIVE = 2;

const PROGRESS_STATES = ["probe", "replicate", "snapshot"] as const;

type Draft<T> = { -readonly [Key in keyof T]: T[Key] };

export function readReady(reader: CoreReader): CoreReady {
  const flags = reader.u8();
  const ready: Draft<CoreReady> = {
    appendJob: reader.u64(),
    applyJob: reader.u64(),
    commitFirst: reader.u64(),
    commitLast: reader.u64(),
    entries: [],
    messages: [],
    reads: [],
  };
  if ((flags & READY_HAS_SOFT) !== 0) {
    ready.soft = { leader: reader.u64(), role: reader.u8() as CoreRole };
  }
  if ((flags & READY_HAS_HARD) !== 0) ready.hardState = reader.hardState();
  if ((flags & READY_HAS_SNAPSHOT) !== 0) ready.snapshot = reader.snapshot();
  ready.entries = reader.entries(reader.u64());
  ready.messages = reader.list();
  ready.reads = readReads(reader);
  return ready;
}

function readReads(reader: CoreReader): CoreReady["reads"] {
  const reads: { index: number; context: Uint8Array }[] = [];
  for (let left = reader.u32(); left > 0; left -= 1) {
    reads.push({ index: reader.u64(), context: reader.data() });
  }
  return reads;
}

export function readStatus(reader: CoreReader): CoreStatus {
  const hardState = reader.hardState();
  const appliedIndex = reader.u64();
  const leader = reader.u64();
  const transferee = reader.u64();
  const role = reader.u8() as CoreRole;
  const conf = reader.confState();
  const progress: CoreProgress[] = [];
  for (let left = reader.u32(); left > 0; left -= 1) progress.push(readProgress(reader));
  return { hardState, appliedIndex, leader, role, transferee, conf, progress };
}

function readProgress(reader: CoreReader): CoreProgress {
  const replicaId = reader.u64();
  const match = reader.u64();
  const next = reader.u64();
  const state = PROGRESS_STATES[reader.u8()] ?? "probe";
  const flags = reader.u8();
  return {
    ...{ replicaId, match, next, state },
    isLearner: (flags & PROGRESS_IS_LEARNER) !== 0,
    isActive: (flags & PROGRESS_IS_ACTIVE) !== 0,
  };
}
