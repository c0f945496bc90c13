import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { CoreGroup, CoreMessage, RaftCore } from "./core.ts";
import { isCoreMessage } from "./core-messages.ts";
import { TailBudget } from "./log-tail.ts";
import { DEFAULT_RAFT_LIMITS, type RaftLimits } from "./raft-limits.ts";
import type { RaftEnvelope, RaftReceiver, RaftTransport } from "./transport.ts";

/** A group as the node sees it. */
export interface NodeGroup {
  readonly topicId: number;
  readonly replicaId: number;
  readonly core: CoreGroup | undefined;
  receive(fromNode: string, envelope: RaftEnvelope): void;
  /** Time goes on. @returns true when the core is to be ticked too */
  beforeTick(): boolean;
  /** The core has been ticked and wants something. */
  drain(): void;
  /** A node cannot be reached. */
  unreachable(nodeId: string): void;
  /** It does not rest until it knows that all is well. */
  wake(): void;
}

export interface RaftNodeOptions {
  /** Or how to come by it: that is not done before a group has more than one member. */
  readonly core: RaftCore | (() => Promise<RaftCore>);
  readonly transport: RaftTransport;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Where a replica is; undefined when that is not known. */
  readonly nodeOf: (topicId: number, replicaId: number) => string | undefined;
  readonly limits?: Partial<RaftLimits>;
  /** The core as a whole is of no use any more, or an invariant broke: the node must end. */
  readonly onFailure: (error: unknown) => void;
}

/** Missed ticks that are made up: time in which nothing could be heard must not look like silence. */
const TICKS_MADE_UP_MAX = 2;

/** For so many ticks one group's word that the disk hangs is good; it says so at each tick. */
const HUNG_TICKS = 2;

/** What all groups of a node share: time, the way to other nodes, and who of them is at rest. */
export class RaftNode implements RaftReceiver {
  readonly limits: RaftLimits;
  readonly tailBudget: TailBudget;
  readonly #options: RaftNodeOptions;
  readonly #groups = new Map<number, NodeGroup>();
  /** Those that want ticks. */
  readonly #awake = new Set<NodeGroup>();
  /** Where replicas were heard of last. */
  readonly #heardAt = new Map<number, string>();
  /** The tick in which each other node was heard last. */
  readonly #heardTicks = new Map<string, number>();
  #loading: Promise<RaftCore> | undefined;
  #core: RaftCore | undefined;
  #tick = 0;
  #hungUntilTick = 0;
  #lastTickMs = 0;
  #cancelTimer: (() => void) | undefined;

  constructor(options: RaftNodeOptions) {
    this.#options = options;
    this.limits = { ...DEFAULT_RAFT_LIMITS, ...options.limits };
    this.tailBudget = new TailBudget(this.limits.tailsBytesMax);
  }

  /** Raft itself, which is loaded when it is first needed. */
  async raft(): Promise<RaftCore> {
    const { core } = this.#options;
    this.#loading ??= typeof core === "function" ? core() : Promise.resolve(core);
    try {
      this.#core = await this.#loading;
      return this.#core;
    } catch (error) {
      // Whatever was in the way may be gone the next time.
      this.#loading = undefined;
      throw error;
    }
  }

  get clock(): Clock {
    return this.#options.clock;
  }

  get logger(): Logger {
    return this.#options.logger;
  }

  /** Ticks since the start. */
  get tick(): number {
    return this.#tick;
  }

  /** Groups that are not at rest. */
  get awakeCount(): number {
    return this.#awake.size;
  }

  /** The disk does not come to an end with what it was given: no group of this node can lead. */
  get isDiskHung(): boolean {
    return this.#tick <= this.#hungUntilTick;
  }

  /** One group has found that out; the others may have nothing on their way, and rest. */
  diskHangs(): void {
    const isNews = !this.isDiskHung;
    this.#hungUntilTick = this.#tick + HUNG_TICKS;
    if (isNews) for (const group of this.#groups.values()) group.wake();
  }

  /** Lets time go on. */
  start(): void {
    this.#lastTickMs = this.#options.clock.monotonicMs();
    this.#schedule();
  }

  stop(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }

  open(group: NodeGroup): void {
    this.#groups.set(group.topicId, group);
    this.#awake.add(group);
  }

  close(group: NodeGroup): void {
    if (this.#groups.get(group.topicId) === group) this.#groups.delete(group.topicId);
    this.#awake.delete(group);
  }

  wake(group: NodeGroup): void {
    if (this.#groups.get(group.topicId) === group) this.#awake.add(group);
  }

  rest(group: NodeGroup): void {
    this.#awake.delete(group);
  }

  isAwake(group: NodeGroup): boolean {
    return this.#awake.has(group);
  }

  /** The node has failed. */
  fail(error: unknown): void {
    this.#options.onFailure(error);
  }

  nodeOf(topicId: number, replicaId: number): string | undefined {
    return this.#options.nodeOf(topicId, replicaId) ?? this.#heardAt.get(replicaId);
  }

  /** Whether anything of any group came from that node in that tick or after it. */
  hasHeard(nodeId: string | undefined, sinceTick: number): boolean {
    if (nodeId === undefined) return false;
    return (this.#heardTicks.get(nodeId) ?? Number.NEGATIVE_INFINITY) >= sinceTick;
  }

  /** @returns false when it was dropped */
  send(
    from: NodeGroup,
    toReplica: number,
    message: CoreMessage,
    more?: { readonly payloads?: readonly Uint8Array[] | undefined; readonly isQuiesce?: boolean },
  ): boolean {
    const { topicId, replicaId: fromReplica } = from;
    const nodeId = this.nodeOf(topicId, toReplica);
    if (nodeId === undefined) return false;
    const payloads = more?.payloads;
    return this.#options.transport.send(nodeId, {
      ...{ topicId, fromReplica, toReplica, message },
      ...(payloads === undefined ? {} : { payloads }),
      ...(more?.isQuiesce === true ? { isQuiesce: true } : {}),
    });
  }

  receive(fromNode: string, envelope: RaftEnvelope): boolean {
    const group = this.#groups.get(envelope.topicId);
    if (group === undefined || group.replicaId !== envelope.toReplica) return false;
    if (!isCoreMessage(envelope.message)) return true;
    this.#heardAt.set(envelope.fromReplica, fromNode);
    this.#heardTicks.set(fromNode, this.#tick);
    try {
      group.receive(fromNode, envelope);
    } catch (error) {
      this.fail(error);
    }
    return true;
  }

  unreachable(nodeId: string): void {
    for (const group of [...this.#groups.values()]) group.unreachable(nodeId);
  }

  #schedule(): void {
    this.#cancelTimer = this.#options.clock.schedule(this.limits.tickMs, () => this.#onTimer());
  }

  #onTimer(): void {
    const nowMs = this.#options.clock.monotonicMs();
    const due = Math.floor((nowMs - this.#lastTickMs) / this.limits.tickMs);
    this.#lastTickMs = nowMs;
    this.#schedule();
    try {
      for (let left = Math.min(Math.max(due, 1), TICKS_MADE_UP_MAX); left > 0; left -= 1) {
        this.#tickAll();
      }
    } catch (error) {
      this.fail(error);
    }
  }

  #tickAll(): void {
    this.#tick += 1;
    const ticked = new Map<CoreGroup, NodeGroup>();
    for (const group of [...this.#awake]) {
      if (group.beforeTick() && group.core !== undefined) ticked.set(group.core, group);
    }
    if (ticked.size === 0) return;
    for (const core of this.#core?.tickAll(ticked.keys()) ?? []) ticked.get(core)?.drain();
  }
}
