import type { AppliedState } from "./apply-loop.ts";
import type { ConfEntries } from "./conf-entries.ts";
import type { ConfState, CoreGroup, CoreHardState, CoreSnapshot, RaftCore } from "./core.ts";
import { JournalLog } from "./core-log.ts";
import { isOnlyVoter, isSoleMember } from "./membership.ts";
import type { RaftJournal } from "./raft-journal.ts";
import type { RaftNode } from "./raft-node.ts";
import { SoleCore } from "./sole-core.ts";
import { entryMissing } from "./voter-errors.ts";

export interface OpenCoreParts {
  readonly node: RaftNode;
  /** Absent: the group has one member, and needs no other. */
  readonly raft: RaftCore | undefined;
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
  const { node, raft, journal, replicaId, applied, stored, confEntries, snapshot } = parts;
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
  const config = {
    ...{ replicaId, electionTicks, heartbeatTicks, inflightMessagesMax },
    ...{ appliedIndex, hardState, conf },
    messageBytesMax: messageDescriptorBytesMax,
    log: new JournalLog({ journal, replicaId, confEntries, snapshot }),
  };
  return { core: raft?.open(config) ?? new SoleCore(config), hardState };
}

/** True when the group has one member, and nothing in its log changes that. */
export function needsNoRaft(
  conf: ConfState,
  replicaId: number,
  confEntries: Pick<ConfEntries, "firstAbove">,
  appliedIndex: number,
): boolean {
  return (
    isSoleMember(conf, replicaId) &&
    confEntries.firstAbove(appliedIndex) === Number.POSITIVE_INFINITY
  );
}
