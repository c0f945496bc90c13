import { EMPTY_BYTES } from "../../src/base/bytes.ts";
import {
  CORE_ENTRY_NORMAL,
  type ConfState,
  type CoreEntry,
  type CoreGroup,
  type CoreHardState,
  type CoreMessage,
  type CoreReady,
  CoreRole,
  type CoreSnapshot,
  type RaftCore,
} from "../../src/raft/core.ts";
import { MemoryLog } from "./memory-log.ts";

export const ELECTION_TICKS = 10;
export const HEARTBEAT_TICKS = 1;

/** A host in short: one replica with its log, its hard state, and what it applied. */
export class CoreReplica {
  readonly id: number;
  readonly log: MemoryLog;
  readonly #core: RaftCore;
  readonly #send: (messages: readonly CoreMessage[]) => void;
  #group: CoreGroup;
  hardState: CoreHardState;
  conf: ConfState;
  /** What was applied, in order; a snapshot takes the place of what it holds. */
  applied: CoreEntry[] = [];
  appliedIndex: number;
  role: CoreRole = CoreRole.follower;
  leader = 0;
  reads: { readonly index: number; readonly context: Uint8Array }[] = [];
  snapshots: CoreSnapshot[] = [];
  readies: CoreReady[] = [];
  /** Storage jobs wait in {@link held} until the test lets them go. */
  isDiskHeld = false;
  held: CoreReady[] = [];

  constructor(
    core: RaftCore,
    id: number,
    start: CoreSnapshot,
    send: (messages: readonly CoreMessage[]) => void,
  ) {
    this.#core = core;
    this.#send = send;
    this.id = id;
    this.log = new MemoryLog(start.index, start.term);
    this.hardState = { term: start.term, vote: 0, commit: start.index };
    this.conf = start.conf;
    this.appliedIndex = start.index;
    this.#group = this.#open();
  }

  get group(): CoreGroup {
    return this.#group;
  }

  /** As after a crash: only what is durable is left. */
  restart(): void {
    this.#group.close();
    this.held = [];
    [this.role, this.leader] = [CoreRole.follower, 0];
    this.#group = this.#open();
  }

  /** @returns false when there was nothing to do */
  carryOut(): boolean {
    const ready = this.#group.ready();
    if (ready === undefined) return false;
    this.readies.push(ready);
    if (ready.soft !== undefined) ({ role: this.role, leader: this.leader } = ready.soft);
    this.reads.push(...ready.reads);
    this.#send(ready.messages);
    if (this.isDiskHeld) this.held.push(ready);
    else this.store(ready);
    this.#apply(ready);
    return true;
  }

  /** Makes a Ready durable, and says so. */
  store(ready: CoreReady): void {
    if (ready.snapshot !== undefined) this.#restore(ready.snapshot);
    this.log.append(ready.entries);
    if (ready.hardState !== undefined) this.hardState = ready.hardState;
    if (ready.appendJob > 0) this.#send(this.#group.jobDone(ready.appendJob));
  }

  /** The oldest of what the disk holds. */
  storeOne(): void {
    const ready = this.held.shift();
    if (ready !== undefined) this.store(ready);
  }

  /** Everything that the disk held, in order. */
  releaseDisk(): void {
    this.isDiskHeld = false;
    for (const ready of this.held.splice(0)) this.store(ready);
  }

  /** Data of the applied entries that hold some. */
  appliedData(): readonly string[] {
    return this.applied
      .filter(({ type, data }) => type === CORE_ENTRY_NORMAL && data.length > 0)
      .map(({ data }) => new TextDecoder().decode(data));
  }

  /** Makes a snapshot of now, and drops the log up to it. */
  compact(): void {
    this.#offerSnapshot();
    this.log.compact(this.appliedIndex);
  }

  #offerSnapshot(): void {
    const index = this.appliedIndex;
    const term = this.log.termAt(index) ?? 0;
    this.log.offer({ index, term, conf: this.conf, data: EMPTY_BYTES });
  }

  #open(): CoreGroup {
    return this.#core.open({
      replicaId: this.id,
      electionTicks: ELECTION_TICKS,
      heartbeatTicks: HEARTBEAT_TICKS,
      appliedIndex: this.appliedIndex,
      // What is applied is committed, also when the commit index was on its way to the disk.
      hardState: {
        ...this.hardState,
        commit: Math.max(this.hardState.commit, this.appliedIndex),
      },
      conf: this.conf,
      log: this.log,
      inflightMessagesMax: 64,
      messageBytesMax: 4096,
    });
  }

  #apply({ commitFirst, commitLast, applyJob }: CoreReady): void {
    if (commitFirst === 0) return;
    const all = Number.POSITIVE_INFINITY;
    for (const entry of this.log.entries(commitFirst, commitLast + 1, all) ?? []) {
      this.applied.push(entry);
      this.appliedIndex = entry.index;
      if (entry.type === CORE_ENTRY_NORMAL) continue;
      this.conf = this.#group.applyConfChange(entry.type, entry.data);
      // A replica that is not named in a snapshot ignores it: an old one would do for no new replica.
      if (this.log.snapshot() !== undefined) this.#offerSnapshot();
    }
    this.#group.jobDone(applyJob);
  }

  #restore(snapshot: CoreSnapshot): void {
    this.snapshots.push(snapshot);
    this.log.restore(snapshot);
    this.conf = snapshot.conf;
    this.appliedIndex = snapshot.index;
  }
}
