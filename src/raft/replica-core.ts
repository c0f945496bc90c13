import { assert } from "../base/assert.ts";
import type { AppliedState } from "./apply-loop.ts";
import type { ConfEntries } from "./conf-entries.ts";
import type {
  ConfState,
  CoreGroup,
  CoreHardState,
  CoreMessage,
  CoreSnapshot,
  RaftCore,
} from "./core.ts";
import { CoreDriver, type CoreDriverParts } from "./core-driver.ts";
import type { LogTail } from "./log-tail.ts";
import { needsNoRaft, openCore } from "./open-core.ts";
import { Outbox } from "./outbox.ts";
import type { RaftJournal } from "./raft-journal.ts";
import type { RaftNode } from "./raft-node.ts";
import { SoleCore } from "./sole-core.ts";

/** Between two looks whether a core can be replaced, in milliseconds. */
const LOOK_MS = 2;

export interface ReplicaCoreParts<W> {
  readonly node: RaftNode;
  readonly journal: RaftJournal;
  readonly replicaId: number;
  readonly tail: LogTail<W>;
  readonly confEntries: ConfEntries;
  readonly commitHoldMs: number;
  readonly applied: () => AppliedState;
  readonly snapshot: () => CoreSnapshot | undefined;
  /** Nothing that is committed waits to be applied. */
  readonly isApplied: () => boolean;
  /** Raft's own core has taken over, and should lead. */
  readonly onReplaced: () => void;
  readonly isReady: () => boolean;
  /** @returns false when it was dropped */
  readonly send: (
    to: number,
    message: CoreMessage,
    payloads: readonly Uint8Array[] | undefined,
  ) => boolean;
  /** What the core says. */
  readonly told: Pick<
    CoreDriverParts<W>,
    | "isSole"
    | "onSoft"
    | "onTerm"
    | "onCommitted"
    | "onRead"
    | "onLost"
    | "onRefused"
    | "onHeld"
    | "onSnapshot"
    | "onFailure"
  >;
}

/** A replica's core and its driver: a small core while the group has one member, then Raft's own. */
export class ReplicaCore<W> {
  readonly #parts: ReplicaCoreParts<W>;
  #driver: CoreDriver<W> | undefined;
  #growing: Promise<void> | undefined;
  #isClosed = false;

  constructor(parts: ReplicaCoreParts<W>) {
    this.#parts = parts;
  }

  /** Undefined before {@link open}. */
  get driver(): CoreDriver<W> | undefined {
    return this.#driver;
  }

  /** Undefined also when there is nothing to tick. */
  get ticked(): CoreGroup | undefined {
    const core = this.#driver?.core;
    return core instanceof SoleCore ? undefined : core;
  }

  get hardState(): CoreHardState {
    return this.#driver?.hardState ?? this.storedState;
  }

  /** As the journal has it. */
  get storedState(): CoreHardState {
    const { journal, replicaId } = this.#parts;
    return journal.replica(replicaId) ?? { term: 0, vote: 0, commit: 0 };
  }

  /**
   * Opens it at what the journal has.
   * @returns the last index that is known to be committed
   * @throws JOURNAL_CORRUPT, DISK_FAILED
   */
  async open(): Promise<number> {
    const { node, journal, replicaId, confEntries, applied } = this.#parts;
    await confEntries.load(journal, replicaId);
    const { index, conf } = applied();
    const isAlone = needsNoRaft(conf, replicaId, confEntries, index);
    const raft = isAlone ? undefined : await node.raft();
    return this.#isClosed ? applied().index : this.#open(raft, this.storedState);
  }

  /**
   * Puts Raft's own core in the place of the small one, if that is there still: before the group gets
   * another member. Nothing is proposed meanwhile. Resolves when it leads again; or when it could not be
   * replaced, because what is under way takes too long: then all is as before.
   */
  growUp(): Promise<void> {
    this.#growing ??= this.#growUp().finally(() => {
      this.#growing = undefined;
    });
    return this.#growing;
  }

  /** An entry that changes the membership is applied. @returns the membership after it */
  applyConfChange(type: number, data: Uint8Array): ConfState {
    assert(this.#driver !== undefined, "A change of membership cannot be applied without the core");
    return this.#driver.core.applyConfChange(type, data);
  }

  /** Nothing is journalled or sent any more. */
  close(): void {
    this.#isClosed = true;
    this.#driver?.close();
  }

  async #growUp(): Promise<void> {
    if (!(this.#driver?.core instanceof SoleCore)) return;
    const raft = await this.#parts.node.raft();
    const driver = this.#driver;
    const sole = driver.core;
    if (this.#isClosed || !(sole instanceof SoleCore)) return;
    sole.retire();
    driver.drain();
    const isIdle = () => sole.isIdle && driver.isStored && this.#parts.isApplied();
    await this.#soon(isIdle);
    if (this.#isClosed) return;
    if (isIdle()) {
      this.#replace(driver, raft);
      await this.#soon(this.#parts.isReady);
    } else {
      sole.resume();
      driver.drain();
    }
  }

  #replace(old: CoreDriver<W>, raft: RaftCore): void {
    try {
      old.close();
      this.#open(raft, old.hardState);
      this.#parts.onReplaced();
    } catch (error) {
      this.#parts.told.onFailure(error);
    }
  }

  /** @returns the last index that is known to be committed */
  #open(raft: RaftCore | undefined, stored: CoreHardState): number {
    const { node, journal, replicaId, tail, confEntries, applied, snapshot, told } = this.#parts;
    const { limits } = node;
    const { core, hardState } = openCore({
      ...{ node, raft, journal, stored, replicaId, confEntries, snapshot },
      applied: applied(),
    });
    const outbox = new Outbox({
      ...{ journal, replicaId, tail },
      messageBytesMax: limits.messagePayloadBytesMax,
      waitingMax: limits.outboxMessagesMax,
      clock: node.clock,
      commitHoldMs: this.#parts.commitHoldMs,
      send: this.#parts.send,
      onDropped: (to) => this.#driver?.with((group) => group.reportUnreachable(to)),
    });
    this.#driver = new CoreDriver<W>(core, {
      ...{ journal, replicaId, hardState, outbox, tail, confEntries },
      ...told,
      tick: () => node.tick,
    });
    return hardState.commit;
  }

  /** Resolves when `isSo`, or after some ticks. */
  async #soon(isSo: () => boolean): Promise<void> {
    const { node } = this.#parts;
    const endTick = node.tick + node.limits.electionTicks;
    while (!this.#isClosed && !isSo() && node.tick < endTick) {
      await new Promise<void>((resolve) => node.clock.schedule(LOOK_MS, resolve));
    }
  }
}
