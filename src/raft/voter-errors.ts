import { ProglogError } from "../base/errors.ts";

/** The journal lacks an entry that must be applied next: damage. */
export function entryMissing(
  replicaId: number,
  neededIndex: number,
  foundIndex: number,
): ProglogError {
  return new ProglogError(
    "JOURNAL_CORRUPT",
    `Cannot recover replica ${replicaId}: the journal goes on at entry ${foundIndex}, entry ${neededIndex} is needed`,
    { metadata: { replicaId: `${replicaId}`, index: `${neededIndex}` } },
  );
}

/** The journal has an entry that this program must not pass over and cannot apply. */
export function entryUnknown(replicaId: number, index: number, kind: number): ProglogError {
  return new ProglogError(
    "JOURNAL_CORRUPT",
    `Cannot recover replica ${replicaId}: entry ${index} is of the unknown kind ${kind}`,
    { metadata: { replicaId: `${replicaId}`, index: `${index}` } },
  );
}

/** Nothing was journalled. */
export function diskFull(why: string): ProglogError {
  return new ProglogError("DISK_FULL", `Cannot append: ${why}`);
}

/** The error of a call that was given up: the signal's own reason when it is one of ours. */
export function givenUp(signal: AbortSignal, outcome: "none" | "unknown"): ProglogError {
  const reason: unknown = signal.reason;
  if (reason instanceof ProglogError) return withOutcome(reason, outcome);
  return new ProglogError("CANCELED", "The caller gave up", {
    metadata: { outcome },
    cause: reason,
  });
}

/** `error` with what is known of the write. */
export function withOutcome(error: ProglogError, outcome: "none" | "unknown"): ProglogError {
  return new ProglogError(error.reason, error.message, {
    metadata: { ...error.metadata, outcome },
    cause: error.cause,
  });
}
