import { assert } from "../base/assert.ts";
import {
  CORE_ENTRY_NORMAL,
  type ConfState,
  type CoreEntry,
  type CoreGroup,
  type CoreGroupConfig,
  type CoreHardState,
  type CoreMessage,
  type CoreReady,
  CoreRole,
  type CoreStatus,
  type CoreVerdict,
} from "./core.ts";

type ReadyPart<K extends keyof CoreReady> = NonNullable<CoreReady[K]>;

const NOTHING = new Uint8Array(0);
const NO_ENTRIES: readonly CoreEntry[] = [];
const NO_MESSAGES: readonly CoreMessage[] = [];

/** What was handed out to be made durable, or to be applied. */
interface Job {
  readonly job: number;
  /** Last index that is durable, or applied, when it is done. */
  readonly last: number;
}

/**
 * The core of a group that has one member. There is nobody to agree with: it leads when it campaigns, and
 * what is durable is committed. It costs a tenth of what a call into Raft's module costs, and the module is
 * not even loaded as long as a server is alone.
 *
 * It behaves as the other core does for such a group, so a driver need not know which one it has; before the
 * membership changes the owner puts the other one in its place, at the same log and hard state.
 */
export class SoleCore implements CoreGroup {
  readonly #replicaId: number;
  readonly #conf: ConfState;
  readonly #jobs: Job[] = [];
  #hardState: CoreHardState;
  #role: CoreRole = CoreRole.follower;
  #isRetired = false;
  #lastIndex: number;
  /** Last index that the host was told to apply. */
  #handedIndex: number;
  #appliedIndex: number;
  #lastJob = 0;
  /** For the next Ready. */
  #entries: CoreEntry[] = [];
  #isStateNew = false;
  #isSoftNew = false;
  #reads: ReadyPart<"reads">[number][] = [];
  readonly #applyJobs: Job[] = [];

  constructor({
    replicaId,
    hardState,
    conf,
    appliedIndex,
    log,
  }: Omit<CoreGroupConfig, "electionTicks">) {
    this.#replicaId = replicaId;
    this.#conf = conf;
    this.#lastIndex = log.lastIndex();
    this.#hardState = { ...hardState, commit: Math.max(hardState.commit, appliedIndex) };
    this.#handedIndex = appliedIndex;
    this.#appliedIndex = appliedIndex;
  }

  /** Nothing is under way: the other core may take over from what is durable. */
  get isIdle(): boolean {
    return this.#jobs.length === 0 && this.#applyJobs.length === 0 && !this.hasReady;
  }

  /** Takes nothing new: another core is to take over. What is under way goes on. */
  retire(): void {
    this.#role = CoreRole.follower;
    this.#isRetired = true;
    this.#isSoftNew = true;
  }

  /** Leads again, as before: no other core took over. */
  resume(): void {
    this.#isRetired = false;
    this.#role = CoreRole.leader;
    this.#isSoftNew = true;
  }

  tick(): void {}

  campaign(): void {
    if (this.#role === CoreRole.leader || this.#isRetired) return;
    this.#role = CoreRole.leader;
    this.#isSoftNew = true;
    const { term, commit } = this.#hardState;
    this.#setState({ term: term + 1, vote: this.#replicaId, commit });
    this.#append(NOTHING);
  }

  step(): CoreVerdict {
    return "ignored";
  }

  propose(data: readonly Uint8Array[]): CoreVerdict {
    if (this.#role !== CoreRole.leader) return "dropped";
    for (const bytes of data) this.#append(bytes);
    return "ok";
  }

  /** Its owner puts the other core in its place first. */
  proposeConfChange(): CoreVerdict {
    return "dropped";
  }

  applyConfChange(): ConfState {
    assert(false, "A group of one member has no change of membership in its log");
  }

  get hasReady(): boolean {
    return (
      this.#entries.length > 0 ||
      this.#isStateNew ||
      this.#isSoftNew ||
      this.#reads.length > 0 ||
      this.#hardState.commit > this.#handedIndex
    );
  }

  ready(): CoreReady | undefined {
    if (!this.hasReady) return undefined;
    const entries = this.#entries.length === 0 ? NO_ENTRIES : this.#entries;
    const isStored = entries.length > 0;
    if (isStored) this.#entries = [];
    const { commit } = this.#hardState;
    // Only what is durable is committed.
    const isCommitted = commit > this.#handedIndex;
    const commitFirst = isCommitted ? this.#handedIndex + 1 : 0;
    const ready: { -readonly [K in keyof CoreReady]: CoreReady[K] } = {
      entries,
      appendJob: isStored ? this.#nextJob() : 0,
      commitFirst,
      commitLast: isCommitted ? commit : 0,
      applyJob: isCommitted ? this.#nextJob() : 0,
      messages: NO_MESSAGES,
      reads: this.#reads,
    };
    if (this.#isSoftNew) ready.soft = { leader: this.#leader, role: this.#role };
    if (this.#isStateNew) ready.hardState = this.#hardState;
    if (isStored) this.#jobs.push({ job: ready.appendJob, last: this.#lastIndex });
    if (isCommitted) this.#applyJobs.push({ job: ready.applyJob, last: commit });
    this.#handedIndex = Math.max(this.#handedIndex, commit);
    this.#isSoftNew = false;
    this.#isStateNew = false;
    if (this.#reads.length > 0) this.#reads = [];
    return ready;
  }

  jobDone(job: number): readonly CoreMessage[] {
    if (this.#applyJobs[0]?.job === job) {
      this.#appliedIndex = this.#applyJobs[0].last;
      this.#applyJobs.shift();
      return NO_MESSAGES;
    }
    const first = this.#jobs.shift();
    assert(first?.job === job, `Job ${job} is done out of order`);
    const { term, vote } = this.#hardState;
    this.#setState({ term, vote, commit: first.last });
    return NO_MESSAGES;
  }

  /** What it has acknowledged is committed, and it has acknowledged nothing else. */
  readIndex(context: Uint8Array): void {
    if (this.#role !== CoreRole.leader) return;
    this.#reads.push({ index: this.#hardState.commit, context });
  }

  transferLeader(): void {}

  /** There is nobody else to follow. */
  forgetLeader(): void {}

  reportUnreachable(): void {}

  reportSnapshot(): void {}

  status(): CoreStatus {
    const isLeader = this.#role === CoreRole.leader;
    return {
      hardState: this.#hardState,
      appliedIndex: this.#appliedIndex,
      leader: this.#leader,
      role: this.#role,
      transferee: 0,
      conf: this.#conf,
      progress: isLeader
        ? [
            {
              replicaId: this.#replicaId,
              match: this.#hardState.commit,
              next: this.#lastIndex + 1,
              state: "replicate",
              isLearner: false,
              isActive: true,
            },
          ]
        : [],
    };
  }

  close(): void {}

  get #leader(): number {
    return this.#role === CoreRole.leader ? this.#replicaId : 0;
  }

  #append(data: Uint8Array): void {
    this.#lastIndex += 1;
    const { term } = this.#hardState;
    this.#entries.push({ term, index: this.#lastIndex, type: CORE_ENTRY_NORMAL, data });
  }

  #setState(state: CoreHardState): void {
    this.#hardState = state;
    this.#isStateNew = true;
  }

  #nextJob(): number {
    this.#lastJob += 1;
    return this.#lastJob;
  }
}
