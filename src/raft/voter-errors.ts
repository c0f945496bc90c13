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

/** `error` with what is known of the write. */
export function withOutcome(error: ProglogError, outcome: "none" | "unknown"): ProglogError {
  return new ProglogError(error.reason, error.message, {
    metadata: { ...error.metadata, outcome },
    cause: error.cause,
  });
}
