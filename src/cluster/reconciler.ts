import { hasReason, ProglogError } from "../base/errors.ts";
import { Serial } from "../storage/serial.ts";
import type { Catalogue } from "../topics/catalogue.ts";
import type { TopicHost } from "../topics/registry.ts";
import { TopicHandle } from "../topics/topic.ts";
import { topicNotFound } from "../topics/topic-errors.ts";
import type { CatalogueGroup } from "./catalogue-group.ts";
import { campaignFirst } from "./first-leader.ts";
import { type LocalTopic, localTopic } from "./local-topic.ts";
import { removeReplica } from "./replica-files.ts";
import { createTopic, openTopic, type TopicContext, type TopicGroup } from "./topic-group.ts";

const RETRY_MS = 1_000;

/** A topic whose files are damaged: it is not open, and its journal entries are kept. */
interface DamagedTopic {
  readonly replicaId: number;
  readonly reason: ProglogError;
}

export interface DamagedReplica {
  readonly topicId: number;
  readonly replicaId: number;
}

export interface OpenTopic {
  readonly entry: LocalTopic;
  readonly group: TopicGroup;
  readonly handle: TopicHandle;
}

/**
 * Makes this node's replicas what the catalogue says: applying a command to the
 * catalogue changes only the catalogue, this changes files. Each step may be
 * repeated, so a crash anywhere is made good by looking again.
 */
export class Reconciler implements TopicHost {
  readonly #context: TopicContext;
  readonly #catalogue: CatalogueGroup;
  readonly #topics = new Map<number, OpenTopic>();
  readonly #damaged = new Map<number, DamagedTopic>();
  /** Replicas, by topic, whose removal has begun. */
  readonly #removing = new Map<number, number>();
  /** Work on one topic happens one after the other, on different topics side by side. */
  readonly #turns = new Map<number, Serial>();
  readonly #background = new Set<Promise<unknown>>();
  readonly #retries = new Set<() => void>();
  /** Ends the first elections of new topics. */
  readonly #elections = new Map<number, () => void>();
  #isClosing = false;

  constructor(context: TopicContext, catalogue: CatalogueGroup) {
    this.#context = context;
    this.#catalogue = catalogue;
  }

  open(topicId: number): TopicHandle | undefined {
    return this.#topics.get(topicId)?.handle;
  }

  damage(topicId: number): ProglogError | undefined {
    return this.#damaged.get(topicId)?.reason;
  }

  /** Replicas of topics that could not be opened. */
  damagedReplicas(): DamagedReplica[] {
    return [...this.#damaged].map(([topicId, { replicaId }]) => ({ topicId, replicaId }));
  }

  /** Leaves a damaged topic as it is, for `proglog log verify` and `repair`, or to be deleted. */
  setAside({ id, replicaId }: LocalTopic, reason: ProglogError): void {
    this.#damaged.set(id, { replicaId, reason });
  }

  /** Topics whose replicas are open here. */
  topics(): OpenTopic[] {
    return [...this.#topics.values()];
  }

  settled(topicId: number): Promise<void> {
    return this.#turnsOf(topicId).run(() => this.#reconcile(topicId));
  }

  #turnsOf(topicId: number): Serial {
    let turns = this.#turns.get(topicId);
    if (turns === undefined) {
      turns = new Serial();
      this.#turns.set(topicId, turns);
    }
    return turns;
  }

  /**
   * Looks at everything: to be called when the catalogue has changed, and is known to have been up to date
   * since the start, so that nothing is removed or made again by what it said long ago.
   */
  async scan(): Promise<void> {
    const { state }: Catalogue = this.#catalogue.machine;
    const due = new Set<number>();
    for (const entry of state.entries()) {
      const wanted = localTopic(entry, this.#context.nodeId)?.replicaId;
      if (wanted !== this.#replicaHere(entry.id)) due.add(entry.id);
    }
    for (const topicId of [...this.#topics.keys(), ...this.#damaged.keys()]) {
      if (state.byId(topicId) === undefined) due.add(topicId);
    }
    const settled = [...due].map((topicId) => this.settled(topicId).catch(() => {}));
    await Promise.all(settled);
  }

  /** A replica of the topic is open here, or set aside. */
  isHere(topicId: number): boolean {
    return this.#replicaHere(topicId) !== undefined;
  }

  /** The replica of a topic that is open here. */
  group(topicId: number): TopicGroup | undefined {
    return this.#topics.get(topicId)?.group;
  }

  /**
   * Raft has failed in this group alone: it is opened again from what is on disk.
   * @returns false when it is not one that is open here
   */
  reopen(topicId: number): boolean {
    const open = this.#topics.get(topicId);
    if (open === undefined) return false;
    const work = this.#turnsOf(topicId).run(async () => {
      if (this.#isClosing || this.#topics.get(topicId) !== open) return;
      await open.group.close({ discard: true });
      const group = await openTopic(this.#context, open.entry);
      await group.raft.recover();
      open.handle.end(reopened(open.entry.name));
      this.adopt(open.entry, group);
    });
    this.#track(work.catch((error) => this.#context.onFailure(error)));
    return true;
  }

  /** Takes over a group that was opened from disk. */
  adopt(entry: LocalTopic, group: TopicGroup): void {
    const { sync } = this.#context;
    const synced = () => (group.raft.conf.voters.length > 1 ? "synced-quorum" : "synced-one");
    const handle = new TopicHandle({
      entry,
      replica: group.machine,
      replicator: group.raft,
      durability: sync === "always" ? synced : () => "not-synced",
      confirm: (caller) => group.raft.readIndex(caller),
    });
    this.#topics.set(entry.id, { entry, group, handle });
  }

  /** Begins nothing new; resolves when what was begun has ended. */
  async close(): Promise<void> {
    this.#isClosing = true;
    for (const cancel of this.#retries) cancel();
    for (const end of this.#elections.values()) end();
    for (const turns of this.#turns.values()) await turns.idle();
    await Promise.allSettled(this.#background);
  }

  async #reconcile(topicId: number): Promise<void> {
    const { state }: Catalogue = this.#catalogue.machine;
    const entry = state.byId(topicId);
    const topic = entry === undefined ? undefined : localTopic(entry, this.#context.nodeId);
    try {
      const here = this.#replicaHere(topicId);
      if (here !== undefined && here !== topic?.replicaId) await this.#remove(topicId, here);
      if (topic === undefined) this.#turns.delete(topicId);
      else if (here !== topic.replicaId) await this.#create(topic);
    } catch (error) {
      // The catalogue has it, so it will be done when there is room.
      if (hasReason(error, "DISK_FULL")) this.#retry(topicId);
      else if (!hasReason(error, "DRAINING")) this.#context.onFailure(error);
      throw error;
    }
  }

  /** The topic's replica on this node, whatever the catalogue says of it. */
  #replicaHere(topicId: number): number | undefined {
    const open = this.#topics.get(topicId)?.group.replicaId;
    return open ?? this.#damaged.get(topicId)?.replicaId ?? this.#removing.get(topicId);
  }

  async #create(entry: LocalTopic): Promise<void> {
    if (this.#isClosing) {
      throw new ProglogError("DRAINING", "Cannot create the topic: the server is stopping");
    }
    const group = await createTopic(this.#context, entry);
    await group.raft.recover();
    this.adopt(entry, group);
    this.#elections.set(entry.id, campaignFirst(this.#context.clock, entry, group));
  }

  async #remove(topicId: number, replicaId: number): Promise<void> {
    this.#removing.set(topicId, replicaId);
    this.#elections.get(topicId)?.();
    this.#elections.delete(topicId);
    const open = this.#topics.get(topicId);
    if (open !== undefined) {
      const { name } = open.entry;
      const isKept = this.#catalogue.machine.state.byId(topicId) !== undefined;
      const reason = isKept ? movedAway(name) : topicNotFound(name);
      open.handle.end(reason);
      open.group.stop(reason);
      this.#topics.delete(topicId);
      await open.group.close({ discard: true });
    }
    this.#damaged.delete(topicId);
    await removeReplica(this.#context, { topicId, replicaId });
    this.#removing.delete(topicId);
  }

  #retry(topicId: number): void {
    const cancel = this.#context.clock.schedule(RETRY_MS, () => {
      this.#retries.delete(cancel);
      this.#track(this.settled(topicId).catch(() => {}));
    });
    this.#retries.add(cancel);
  }

  #track(work: Promise<unknown>): void {
    this.#background.add(work);
    void work.finally(() => this.#background.delete(work));
  }
}

/** Readers that wait come again. */
function reopened(name: string): ProglogError {
  return new ProglogError(
    "NOT_LEADER",
    `Cannot go on with topic "${name}": it is being opened again`,
    {
      metadata: { topic: name },
    },
  );
}

/** Other servers have the topic: readers go there. */
function movedAway(name: string): ProglogError {
  return new ProglogError(
    "NOT_LEADER",
    `Cannot go on with topic "${name}": it has moved to other servers`,
    {
      metadata: { topic: name, outcome: "none" },
    },
  );
}
