import type { Abortable } from "../base/abortable.ts";
import { hasReason, ProglogError } from "../base/errors.ts";
import { type FolderLock, lockFolder } from "../storage/folder-lock.ts";
import type { NodeIdentity } from "../storage/node-file.ts";
import { TopicRegistry } from "../topics/registry.ts";
import type { Topics } from "../topics/topics.ts";
import type { ClusterView } from "./cluster-view.ts";
import type { DamageCounts } from "./damage-counts.ts";
import { untilLed } from "./first-leader.ts";
import { handOver } from "./hand-over.ts";
import { clusterLayout } from "./layout.ts";
import type { NodeOptions } from "./node-options.ts";
import { DEFAULT_NODE_SETTINGS, type NodeSettings } from "./node-settings.ts";
import { openParts } from "./open-node.ts";
import { recoverTopics } from "./recover-topics.ts";
import { Reserve } from "./reserve.ts";
import { type NodeParts, release, shutDown } from "./shut-down.ts";
import { callerOf } from "./signal-caller.ts";
import { identify } from "./start.ts";

/**
 * One server's data: the journal, the catalogue and the topics in one folder, from
 * recovery to a clean stop.
 */
export class Node {
  readonly topics: Topics;
  readonly cluster: ClusterView;
  readonly #parts: NodeParts;
  #closing: Promise<void> | undefined;

  private constructor(parts: NodeParts, settings: NodeSettings) {
    const { context, catalogue, reconciler, courier, view, bell } = parts;
    const leaders = {
      clock: context.clock,
      group: (topicId: number) => reconciler.group(topicId),
      changed: (caller: Abortable) => bell.changed(caller),
    };
    this.#parts = parts;
    this.cluster = view;
    this.topics = new TopicRegistry({
      catalogue: catalogue.machine.state,
      replicator: catalogue.raft,
      host: reconciler,
      defaults: context.defaults,
      topicCountMax: settings.topicCountMax,
      layout: () => clusterLayout(parts),
      tell: (command) => courier.tell(command),
      led: (topicId) => untilLed(leaders, topicId),
    });
  }

  /**
   * Opens the data folder, or makes it: locks it, recovers the journal, opens every topic
   * at its checkpoint and applies what the journal has beyond it. While the disk is full
   * that goes on in the background, and what is there can be read.
   *
   * A new node that is to join a cluster waits until it is taken in and has the catalogue.
   *
   * @throws DATA_DIR_LOCKED, DATA_DIR_INVALID, JOURNAL_CORRUPT, STORE_CORRUPT, DISK_FULL, DISK_FAILED,
   *   CLUSTER_FOREIGN, SERVER_ID_TAKEN, SERVER_REMOVED; what `signal` was aborted with
   */
  static async open(options: NodeOptions): Promise<Node> {
    const { fs, random, clock } = options;
    const settings = { ...DEFAULT_NODE_SETTINGS, ...options.settings };
    const reserve = new Reserve(fs, random);
    const lock = await lockWithReserve(options, reserve);
    let parts: NodeParts;
    try {
      const identity = await identify(fs, random, clock.wallUs());
      parts = await openParts(options, { settings, identity, lock, reserve });
    } catch (error) {
      await lock.release().catch(() => {});
      throw error;
    }
    const node = new Node(parts, settings);
    try {
      await recoverTopics(parts);
      await catalogueHere(parts, options.signal);
      await parts.duties.start();
      await reserve.fill();
      if (parts.failure.reason !== undefined) throw parts.failure.error;
    } catch (error) {
      await release(parts, new ProglogError("DRAINING", "The server did not start"));
      throw error;
    }
    parts.checkpoints.poke();
    return node;
  }

  get identity(): NodeIdentity {
    return this.#parts.identity();
  }

  /** Damage that was found in topics' files, and made good, since the start. */
  get damage(): Readonly<DamageCounts> {
    return this.#parts.context.damage;
  }

  /** Topics that this node leads. */
  get ledCount(): number {
    const topics = this.#parts.reconciler.topics();
    return topics.filter(({ group }) => group.raft.role === "leader").length;
  }

  /** Groups with a replica here that are not at rest. */
  get awakeCount(): number {
    return this.#parts.context.raft.awakeCount;
  }

  /** True while the disk has no room: appends are refused, reads go on. */
  get isDiskFull(): boolean {
    const { context, reconciler } = this.#parts;
    if (context.journal.isDiskFull) return true;
    return reconciler.topics().some(({ group }) => group.machine.isDiskFull);
  }

  /** True while some topic is older than what was acknowledged before the start, for want of room. */
  get isRecovering(): boolean {
    return this.#parts.reconciler.topics().some(({ group }) => group.raft.isRecovering);
  }

  /** Lets others lead what this node leads, as far as there are any; to be called before calls are refused. */
  handOver(): Promise<void> {
    this.#parts.duties.leave();
    return handOver(this.#parts);
  }

  /**
   * Stops cleanly: refuses new writes, finishes those under way, checkpoints what is
   * not, so that the next start has nothing to do, and gives the folder free.
   */
  close(): Promise<void> {
    this.#closing ??= shutDown(this.#parts);
    return this.#closing;
  }
}

/** Resolves when the catalogue is here: a new member waits for its leader to send it. */
async function catalogueHere(
  { catalogue, bell }: NodeParts,
  signal: AbortSignal | undefined,
): Promise<void> {
  const isHere = () => catalogue.machine.state.clusterId !== "";
  // The founder makes it.
  if (isHere() || catalogue.raft.conf.voters.includes(catalogue.replicaId)) return;
  while (!isHere()) await bell.changed(signal === undefined ? undefined : callerOf(signal));
}

/** Locks the folder, also when the disk has no room left for that. */
async function lockWithReserve(options: NodeOptions, reserve: Reserve): Promise<FolderLock> {
  const { fs, identity, isAlive } = options;
  try {
    return await lockFolder(fs, identity, isAlive);
  } catch (error) {
    if (!hasReason(error, "DISK_FULL")) throw error;
    await reserve.spend();
    return await lockFolder(fs, identity, isAlive);
  }
}
