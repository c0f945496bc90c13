import { type AppliedEntry, ENTRY_COMMAND, type VoterHost, type VoterJournal } from "./voter.ts";
import { entryMissing, entryUnknown } from "./voter-errors.ts";

/** What the journal has of a replica beyond what its host has applied. */
export interface Unapplied {
  readonly journal: VoterJournal;
  readonly host: Pick<VoterHost<unknown, unknown>, "canApply" | "whenCanApply">;
  readonly replicaId: number;
  readonly appliedIndex: number;
  readonly lastIndex: number;
  /** True when nothing is to be applied any more: the host may be closed. */
  readonly isStopped: () => boolean;
}

/**
 * The entries that are to be applied, in order, each when the host has room. Ends early when
 * it is stopped.
 *
 * @throws JOURNAL_CORRUPT when an entry is missing or of an unknown kind
 */
export async function* unappliedEntries(from: Unapplied): AsyncGenerator<AppliedEntry> {
  const { journal, host, replicaId, lastIndex, isStopped } = from;
  let next = from.appliedIndex + 1;
  if (next <= lastIndex) {
    for await (const entry of journal.entries(replicaId, next)) {
      if (entry.index !== next) throw entryMissing(replicaId, next, entry.index);
      if (entry.kind !== ENTRY_COMMAND) throw entryUnknown(replicaId, entry.index, entry.kind);
      // Also ends when the host is closed meanwhile, which it says by rejecting.
      while (!host.canApply() && !isStopped()) await roomOf(host, isStopped);
      if (isStopped()) return;
      yield entry;
      next += 1;
    }
  }
  if (next !== lastIndex + 1) throw entryMissing(replicaId, next, lastIndex);
}

async function roomOf(host: Unapplied["host"], isStopped: () => boolean): Promise<void> {
  try {
    await host.whenCanApply();
  } catch (error) {
    if (!isStopped()) throw error;
  }
}
