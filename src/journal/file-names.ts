import { JOURNAL_DIR, joinPath } from "../storage/layout.ts";

/**
 * Names in `journal/`:
 *
 *     00000000000000000007.wal    file 7 of the journal: its head and flushes count
 *     00000000000000000003.free   space for a later file, once file 3: its content does not count
 */
export interface JournalFileName {
  readonly kind: "wal" | "free";
  readonly sequence: number;
}

const DIGITS = 20;

export function walName(sequence: number): string {
  return `${`${sequence}`.padStart(DIGITS, "0")}.wal`;
}

export function freeName(sequence: number): string {
  return `${`${sequence}`.padStart(DIGITS, "0")}.free`;
}

/** Undefined when `name` is not that of a journal's file. */
export function parseJournalFileName(name: string): JournalFileName | undefined {
  const found = /^(\d{20})\.(wal|free)$/.exec(name);
  if (found === null) return undefined;
  const sequence = Number(found[1]);
  if (!Number.isSafeInteger(sequence) || sequence < 1) return undefined;
  return { kind: found[2] === "wal" ? "wal" : "free", sequence };
}

export function journalPath(name: string): string {
  return joinPath(JOURNAL_DIR, name);
}
