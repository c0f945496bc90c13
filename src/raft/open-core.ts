import type { AppliedState } from "./apply-loop.ts";
import type { ConfEntries } from "./conf-entries.ts";
import type { CoreGroup, CoreHardState, CoreSnapshot } from "./core.ts";
import { JournalLog } from "./core-log.ts";
import { isOnlyVoter } from "./membership.ts";
import type { RaftJournal } from "./raft-journal.ts";
import type { RaftNode } from "./raft-node.ts";
import { entryMissing } from "./voter-errors.ts";

export interface OpenCoreParts {
  readonly node: RaftNode;
  readonly journal: RaftJournal;
  readonly replicaId: number;
  readonly applied: AppliedState;
  readonly stored: CoreHardState;
  readonly confEntries: ConfEntries;
  readonly snapshot: () => CoreSnapshot | undefined;
}

/**
 * Opens a group's core at what the journal has.
 * @throws JOURNAL_CORRUPT when what is committed is not there
 */
export function openCore(parts: OpenCoreParts): {
  readonly core: CoreGroup;
  /** With all that is known to be committed. */
  readonly hardState: CoreHardState;
} {
  const { node, journal, replicaId, applied, stored, confEntries, snapshot } = parts;
  const { index: appliedIndex, conf } = applied;
  const lastIndex = journal.lastIndex(replicaId);
  let commit = Math.max(stored.commit, appliedIndex);
  if (commit > lastIndex) throw entryMissing(replicaId, commit, lastIndex);
  // What the only voter has is committed: up to where it may stop being the only one.
  if (isOnlyVoter(conf, replicaId)) {
    commit = Math.max(commit, Math.min(lastIndex, confEntries.firstAbove(appliedIndex)));
  }
  const hardState = { ...stored, commit };
  const { electionTicks, heartbeatTicks, inflightMessagesMax, messageDescriptorBytesMax } =
    node.limits;
  const core = node.core.open({
    ...{ replicaId, electionTicks, heartbeatTicks, inflightMessagesMax },
    ...{ appliedIndex, hardState, conf },
    messageBytesMax: messageDescriptorBytesMax,
    log: new JournalLog({ journal, replicaId, confEntries, snapshot }),
  });
  return { core, hardState };
}
