import type { ProglogError } from "../base/errors.ts";
import { type AppliedState, ApplyLoop } from "./apply-loop.ts";
import type { ConfEntries } from "./conf-entries.ts";
import { coreTypeOf } from "./entry-kinds.ts";
import type { Calls } from "./intake.ts";
import type { LogTail } from "./log-tail.ts";
import { isOnlyVoter, isSoleMember } from "./membership.ts";
import { Outcomes } from "./outcomes.ts";
import type { RaftGroupOptions } from "./raft-options.ts";
import type { Reads } from "./reads.ts";
import type { ReplicaCore } from "./replica-core.ts";
import type { ReplicaHooks } from "./replica-hooks.ts";

export interface ReplicaMachineParts<O, C> {
  readonly options: RaftGroupOptions<O, C>;
  readonly hooks: ReplicaHooks<O, C>;
  readonly tail: LogTail<Calls<O, C>>;
  readonly confEntries: ConfEntries;
  readonly reads: Reads;
  readonly core: () => ReplicaCore<Calls<O, C>>;
  readonly notLeader: () => ProglogError;
}

/** A replica where its machine is: what is committed is applied, and whoever waits for that is told. */
export class ReplicaMachine<O, C> {
  readonly loop: ApplyLoop<O, C, Calls<O, C>>;
  readonly outcomes: Outcomes<O, Calls<O, C>>;
  readonly #parts: ReplicaMachineParts<O, C>;
  /** Kept, for it is asked for with each command. */
  #isSole: boolean;

  constructor(parts: ReplicaMachineParts<O, C>) {
    this.#parts = parts;
    const { options, hooks, tail, core, notLeader } = parts;
    const { journal, host, replicaId, appliedIndex, appliedTerm, conf } = options;
    this.#isSole = isSoleMember(conf, replicaId);
    this.outcomes = new Outcomes({ settled: hooks.settled, refused: hooks.refused, notLeader });
    this.loop = new ApplyLoop<O, C, Calls<O, C>>({
      ...{ journal, host, replicaId, tail },
      start: { index: appliedIndex, term: appliedTerm, conf },
      applyConfChange: (kind, data) => {
        const changed = core().applyConfChange(coreTypeOf(kind), data);
        this.#isSole = isSoleMember(changed, replicaId);
        return changed;
      },
      onEntry: (entry, outcomes, waiting) => this.outcomes.applied(entry, outcomes, waiting),
      onJob: (job) => core().driver?.applied(job),
      onRun: () => this.#onRun(),
      onFailure: hooks.failed,
    });
  }

  get applied(): AppliedState {
    return this.loop.applied;
  }

  /** Nobody else belongs to the group. */
  get isSole(): boolean {
    return this.#isSole;
  }

  get isOnlyVoter(): boolean {
    return isOnlyVoter(this.applied.conf, this.#parts.options.replicaId);
  }

  /** Its state is a snapshot's now. */
  installed(): void {
    const { index, conf } = this.applied;
    this.#isSole = isSoleMember(conf, this.#parts.options.replicaId);
    this.outcomes.skippedThrough(index);
    this.#onRun();
  }

  #onRun(): void {
    const { options, hooks, tail, confEntries, reads } = this.#parts;
    const { journal, node, replicaId } = options;
    const { index } = this.applied;
    tail.dropApplied(index, this.#isSole ? 0 : node.limits.keptBytesMax);
    if (!confEntries.isEmpty) confEntries.dropBelow(journal.firstIndex(replicaId));
    reads.applied(index);
    options.onApplied?.();
    hooks.changed();
  }
}
