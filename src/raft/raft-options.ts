import type { Clock } from "../base/clock.ts";
import type { AdmissionLane } from "./admission.ts";
import type { ConfState } from "./core.ts";
import type { RaftHost } from "./raft-host.ts";
import type { RaftJournal } from "./raft-journal.ts";
import type { RaftNode } from "./raft-node.ts";

export interface RaftGroupOptions<O, C> {
  readonly node: RaftNode;
  readonly journal: RaftJournal;
  readonly host: RaftHost<O, C>;
  readonly lane: AdmissionLane;
  readonly clock: Clock;
  readonly topicId: number;
  readonly replicaId: number;
  /** Membership at `appliedIndex`: the checkpoint's, or what a new group begins with. */
  readonly conf: ConfState;
  /** Last entry that the host's state includes. */
  readonly appliedIndex: number;
  readonly appliedTerm: number;
  /** Followers learn at once how far all is committed: for what is written seldom and read everywhere. */
  readonly tellsCommitAtOnce?: boolean;
  /** Called after each run of entries that were applied together; must not throw. */
  readonly onApplied?: () => void;
  /** Role, term, leader, readiness or membership may have changed; must not throw. */
  readonly onChange?: () => void;
  /** The host threw, or the journal is not what it must be, or the node cannot go on. */
  readonly onFailure: (error: unknown) => void;
  /** The core has failed in this group alone: the group has stopped and is to be opened anew from disk. */
  readonly onPoisoned: (error: unknown) => void;
}
