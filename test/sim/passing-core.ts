import type {
  ConfChange,
  ConfState,
  CoreGroup,
  CoreGroupConfig,
  CoreMessage,
  CoreReady,
  CoreStatus,
  CoreVerdict,
  RaftCore,
} from "../../src/raft/core.ts";
import { SimCrash } from "../support/sim-faults.ts";

/** Hands everything on, until its process is gone: then it says nothing any more. */
export class PassingGroup implements CoreGroup {
  readonly inner: CoreGroup;
  onClose: () => void = () => {};
  #isOver = false;

  constructor(inner: CoreGroup) {
    this.inner = inner;
  }

  get hasReady(): boolean {
    return !this.#isOver && this.inner.hasReady;
  }

  ready(): CoreReady | undefined {
    return this.#isOver ? undefined : this.inner.ready();
  }

  jobDone(job: number): readonly CoreMessage[] {
    return this.#isOver ? [] : this.inner.jobDone(job);
  }

  tick(): void {
    if (!this.#isOver) this.inner.tick();
  }

  campaign(): void {
    if (!this.#isOver) this.inner.campaign();
  }

  step(message: CoreMessage): CoreVerdict {
    return this.#isOver ? "ignored" : this.inner.step(message);
  }

  propose(data: readonly Uint8Array[]): CoreVerdict {
    return this.#isOver ? "dropped" : this.inner.propose(data);
  }

  proposeConfChange(changes: readonly ConfChange[], context: Uint8Array): CoreVerdict {
    return this.#isOver ? "dropped" : this.inner.proposeConfChange(changes, context);
  }

  applyConfChange(type: number, data: Uint8Array): ConfState {
    if (this.#isOver) throw new SimCrash();
    return this.inner.applyConfChange(type, data);
  }

  readIndex(context: Uint8Array): void {
    if (!this.#isOver) this.inner.readIndex(context);
  }

  transferLeader(replicaId: number): void {
    if (!this.#isOver) this.inner.transferLeader(replicaId);
  }

  forgetLeader(): void {
    if (!this.#isOver) this.inner.forgetLeader();
  }

  reportUnreachable(replicaId: number): void {
    if (!this.#isOver) this.inner.reportUnreachable(replicaId);
  }

  reportSnapshot(replicaId: number, isDone: boolean): void {
    if (!this.#isOver) this.inner.reportSnapshot(replicaId, isDone);
  }

  status(): CoreStatus {
    if (this.#isOver) throw new SimCrash();
    return this.inner.status();
  }

  close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.onClose();
    this.inner.close();
  }
}

/** A core whose groups are wrapped, one by one, in what somebody made for them. */
export class PassingCore implements RaftCore {
  readonly #inner: RaftCore;
  readonly #wrap: (inner: RaftCore, config: CoreGroupConfig) => PassingGroup;
  readonly #groups = new Map<CoreGroup, PassingGroup>();
  #isOver = false;

  /** @param wrap opens a group of `inner` and gives what stands before it */
  constructor(inner: RaftCore, wrap: (inner: RaftCore, config: CoreGroupConfig) => PassingGroup) {
    this.#inner = inner;
    this.#wrap = wrap;
  }

  open(config: CoreGroupConfig): CoreGroup {
    if (this.#isOver) throw new SimCrash();
    const group = this.#wrap(this.#inner, config);
    this.#groups.set(group.inner, group);
    group.onClose = () => this.#groups.delete(group.inner);
    return group;
  }

  tickAll(groups: Iterable<CoreGroup>): readonly CoreGroup[] {
    if (this.#isOver) return [];
    const inner = [...groups].map((group) => (group instanceof PassingGroup ? group.inner : group));
    return this.#inner.tickAll(inner).map((group) => this.#groups.get(group) ?? group);
  }

  /** The process is gone, and its core with it: what is left of its program gets no answers any more. */
  end(): void {
    this.#isOver = true;
    for (const group of [...this.#groups.values()]) group.close();
  }
}
