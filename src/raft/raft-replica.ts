import type { Abortable } from "../base/abortable.ts";
import type { ProglogError } from "../base/errors.ts";
import type { AppliedState } from "./apply-loop.ts";
import { ConfEntries } from "./conf-entries.ts";
import {
  type CoreGroup,
  type CoreHardState,
  CoreMessageType,
  type CoreRole,
  type CoreStatus,
} from "./core.ts";
import type { CoreDriver } from "./core-driver.ts";
import { messageType } from "./core-messages.ts";
import { GroupChanges } from "./group-changes.ts";
import { Hibernation } from "./hibernation.ts";
import { Inbox } from "./inbox.ts";
import type { Calls } from "./intake.ts";
import { Leadership } from "./leadership.ts";
import { LogTail } from "./log-tail.ts";
import { isMajority } from "./membership.ts";
import { notLeader } from "./raft-errors.ts";
import type { JournalledEntry } from "./raft-journal.ts";
import type { NodeGroup, RaftNode } from "./raft-node.ts";
import type { RaftGroupOptions } from "./raft-options.ts";
import { Reads } from "./reads.ts";
import { ReplicaCore } from "./replica-core.ts";
import type { ReplicaHooks } from "./replica-hooks.ts";
import { ReplicaMachine } from "./replica-machine.ts";
import { ReplicaWatch } from "./replica-watch.ts";
import { Snapshots } from "./snapshots.ts";
import type { RaftEnvelope } from "./transport.ts";

/** One replica of a group, from its core to its machine: everything but who proposes. */
export class RaftReplica<O, C> implements NodeGroup {
  readonly topicId: number;
  readonly replicaId: number;
  readonly leadership = new Leadership();
  readonly changes: GroupChanges;
  readonly snapshots: Snapshots;
  readonly #options: RaftGroupOptions<O, C>;
  readonly #hooks: ReplicaHooks<O, C>;
  readonly #node: RaftNode;
  readonly #tail: LogTail<Calls<O, C>>;
  readonly #confEntries = new ConfEntries();
  readonly #machine: ReplicaMachine<O, C>;
  readonly #reads: Reads;
  readonly #hibernation: Hibernation;
  readonly #inbox: Inbox;
  readonly #core: ReplicaCore<Calls<O, C>>;
  readonly #watch: ReplicaWatch;

  constructor(options: RaftGroupOptions<O, C>, hooks: ReplicaHooks<O, C>) {
    const { node, topicId, replicaId } = options;
    this.topicId = topicId;
    this.replicaId = replicaId;
    this.#options = options;
    this.#hooks = hooks;
    this.#node = node;
    this.#tail = new LogTail(node.tailBudget, node.limits.tailBytesMax);
    this.#reads = this.#makeReads();
    this.#machine = new ReplicaMachine({
      ...{ options, hooks, tail: this.#tail, confEntries: this.#confEntries, reads: this.#reads },
      core: () => this.#core,
      notLeader: () => this.notLeader(),
    });
    this.#core = this.#makeCore();
    this.#hibernation = new Hibernation({
      ...{ node, group: this, leadership: this.leadership },
      lastIndex: () => options.journal.lastIndex(replicaId),
      appliedIndex: () => this.applied.index,
      hardState: () => this.hardState,
      status: () => this.status(),
      isIdle: () => this.#isIdle,
    });
    this.snapshots = new Snapshots({
      ...{ node, topicId, replicaId },
      host: options.host,
      loop: this.#machine.loop,
      driver: () => this.#driver,
      termAt: (index) => {
        return this.#tail.at(index)?.term ?? options.journal.termAt(replicaId, index);
      },
      onInstalled: () => this.#machine.installed(),
    });
    this.#inbox = new Inbox({
      ...{ node, group: this, tail: this.#tail },
      ...{ snapshots: this.snapshots, hibernation: this.#hibernation },
    });
    this.changes = new GroupChanges({
      ...{ node, group: this, leadership: this.leadership, confEntries: this.#confEntries },
      hibernation: this.#hibernation,
      driver: () => this.#driver,
      growUp: () => this.#core.growUp(),
      applied: () => this.applied,
      term: () => this.hardState.term,
      notLeader: () => this.notLeader(),
      isChanging: () => this.#machine.outcomes.isChanging,
      whenChanged: (index, term) => this.#machine.outcomes.whenChanged(index, term),
    });
    this.#watch = new ReplicaWatch({
      ...{ node, replica: this, journal: options.journal, host: options.host },
      ...{ reads: this.#reads, hibernation: this.#hibernation, changed: hooks.changed },
      leaderless: hooks.leaderless,
      driver: () => this.#driver,
    });
  }

  get applied(): AppliedState {
    return this.#machine.applied;
  }

  get core(): CoreGroup | undefined {
    return this.#core.ticked;
  }

  get hardState(): CoreHardState {
    return this.#core.hardState;
  }

  /** Nobody else belongs to the group. */
  get isSole(): boolean {
    return this.#machine.isSole;
  }

  /** What it has journalled is committed. */
  get isOnlyVoter(): boolean {
    return this.#machine.isOnlyVoter;
  }

  /** It leads, and has applied an entry of its own term: whatever was acknowledged before is applied here. */
  get isReady(): boolean {
    return this.leadership.isLeader && this.applied.term === this.hardState.term;
  }

  /** Whether it has heard of a majority of the voters' nodes in that tick or after it. */
  hasHeardMajority(sinceTick: number): boolean {
    const { topicId, replicaId } = this;
    return isMajority(
      this.applied.conf,
      (voter) =>
        voter === replicaId || this.#node.hasHeard(this.#node.nodeOf(topicId, voter), sinceTick),
    );
  }

  /** Writes wait for room on the disk. */
  get isHeld(): boolean {
    return this.#driver?.isHeld === true;
  }

  replay(entry: JournalledEntry): boolean {
    const isCommitted = this.isOnlyVoter || entry.index <= this.#core.storedState.commit;
    return isCommitted && this.#machine.loop.replay(entry);
  }

  /**
   * Opens the core at what the journal has.
   * @returns the last index that is known to be committed
   * @throws JOURNAL_CORRUPT, DISK_FAILED
   */
  async open(): Promise<number> {
    const commit = await this.#core.open();
    if (this.#driver === undefined) return commit;
    this.#node.open(this);
    this.#driver.drain();
    return commit;
  }

  /** Makes an entry. @returns why that cannot be: then nothing was proposed */
  propose(payload: Uint8Array, calls: Calls<O, C>, makesRoom: boolean): ProglogError | undefined {
    this.#hibernation.touch();
    const verdict = this.#driver?.propose({ payload, waiting: calls, makesRoom });
    return verdict === "ok" ? undefined : this.notLeader();
  }

  notLeader(): ProglogError {
    const { leaderReplicaId } = this.leadership;
    const others = leaderReplicaId === this.replicaId ? undefined : leaderReplicaId;
    return notLeader(this.topicId, others);
  }

  /** See `RaftGroup.readIndex`. */
  async readIndex(caller: Abortable | undefined): Promise<void> {
    // What the only voter has acknowledged it has applied.
    if (this.isReady && this.isOnlyVoter && caller?.reason === undefined) return;
    this.#hibernation.touch();
    await this.#reads.wait(caller);
  }

  status(): CoreStatus | undefined {
    return this.#driver?.core.status();
  }

  /** Nothing is applied, journalled or sent any more. */
  halt(): void {
    this.#node.close(this);
    this.#machine.loop.end();
    this.snapshots.stop();
    this.#core.close();
  }

  /** Ends it; who waits is told `reason`. */
  stop(reason: ProglogError): void {
    this.halt();
    this.#tail.clear();
    this.#reads.stop(reason);
    this.leadership.stop(reason);
    this.#machine.outcomes.stop(reason);
  }

  receive(fromNode: string, envelope: RaftEnvelope): void {
    this.#guard(() => {
      if (this.#driver !== undefined) this.#inbox.take(this.#driver, fromNode, envelope);
    });
  }

  beforeTick(): boolean {
    return this.#guard(() => this.#watch.beforeTick()) === true;
  }

  drain(): void {
    this.#driver?.drain();
    this.#hibernation.ticked();
  }

  unreachable(nodeId: string): void {
    this.#guard(() => this.#watch.unreachable(nodeId));
  }

  /** Somebody has a reason to doubt that all is well: the group does not rest until it knows. */
  wake(): void {
    if (this.#driver !== undefined) this.#hibernation.touch();
  }

  /** A failure is this group's own, or told by it. */
  #guard<T>(work: () => T): T | undefined {
    try {
      return work();
    } catch (error) {
      this.#hooks.failed(error);
      return undefined;
    }
  }

  get #driver(): CoreDriver<Calls<O, C>> | undefined {
    return this.#core.driver;
  }

  /** Nobody waits for anything here. */
  get #isIdle(): boolean {
    const isStored = this.#driver?.isStored === true;
    return isStored && this.#machine.loop.isIdle && this.#reads.isIdle && this.snapshots.isIdle;
  }

  #onSoft(leader: number, role: CoreRole): void {
    this.leadership.changed(leader, role);
    this.#hibernation.touch();
    this.#hooks.changed();
  }

  #makeReads(): Reads {
    const { limits } = this.#node;
    return new Reads({
      replicaId: this.replicaId,
      firstContext: this.#node.clock.wallUs(),
      tick: () => this.#node.tick,
      retryTicks: limits.readRetryTicks,
      silentTicks: limits.silentTicks,
      ticksMax: limits.readTicksMax,
      ask: (context) => this.#driver?.with((core) => core.readIndex(context)),
    });
  }

  #makeCore(): ReplicaCore<Calls<O, C>> {
    const { journal, tellsCommitAtOnce } = this.#options;
    return new ReplicaCore<Calls<O, C>>({
      ...{ node: this.#node, journal, replicaId: this.replicaId },
      ...{ tail: this.#tail, confEntries: this.#confEntries },
      commitHoldMs: tellsCommitAtOnce === true ? 0 : this.#node.limits.commitHoldMs,
      applied: () => this.applied,
      snapshot: () => this.snapshots.capture(),
      isApplied: () => this.#machine.loop.isIdle,
      onReplaced: () => {
        this.#hibernation.touch();
        this.changes.campaign();
      },
      isReady: () => this.isReady,
      send: (to, message, payloads) => this.#send(to, message, payloads),
      told: {
        isSole: () => this.#machine.isSole,
        onSoft: (leader, role) => this.#onSoft(leader, role),
        onTerm: () => this.#hooks.changed(),
        onCommitted: (last, job) => this.#machine.loop.add(last, job),
        onRead: (index, context) => {
          this.#reads.confirmed(index, context);
          this.#reads.applied(this.applied.index);
        },
        onLost: (entries) => this.#machine.outcomes.lost(entries),
        onRefused: (calls, error) => this.#hooks.refused(calls, error),
        onHeld: () => this.#hibernation.touch(),
        onSnapshot: (snapshot) => this.snapshots.commit(snapshot),
        onFailure: (error) => this.#hooks.failed(error),
      },
    });
  }

  #send(to: number, message: Uint8Array, payloads: readonly Uint8Array[] | undefined): boolean {
    const type = messageType(message);
    const isQuiesce = type === CoreMessageType.heartbeat && this.#hibernation.saysRest();
    const isSent = this.#node.send(this, to, message, { payloads, isQuiesce });
    if (type === CoreMessageType.snapshot) this.snapshots.sent(to, isSent);
    return isSent;
  }
}
