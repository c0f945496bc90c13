import type { Clock } from "../base/clock.ts";
import { hasReason, ProglogError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import { Journal } from "../journal/journal.ts";
import type { FileSystem } from "../platform/file-system.ts";
import type { ProcessIdentity } from "../platform/process-identity.ts";
import { Admission } from "../raft/admission.ts";
import { type FolderLock, lockFolder } from "../storage/folder-lock.ts";
import { JOURNAL_DIR } from "../storage/layout.ts";
import type { NodeIdentity } from "../storage/node-file.ts";
import { FEATURE_LEVEL } from "../topics/members.ts";
import { DEFAULT_TOPIC_NAME } from "../topics/names.ts";
import { TopicRegistry } from "../topics/registry.ts";
import { TailMemory } from "../topics/tail.ts";
import type { Topics } from "../topics/topics.ts";
import { createCatalogue, openCatalogue } from "./catalogue-group.ts";
import { type CheckpointedGroup, Checkpoints } from "./checkpoints.ts";
import { type LocalTopic, localTopic } from "./local-topic.ts";
import { NodeFailure } from "./node-failure.ts";
import { DEFAULT_NODE_SETTINGS, type NodeSettings } from "./node-settings.ts";
import { Reconciler } from "./reconciler.ts";
import { replayJournal } from "./replay.ts";
import { syncFolder } from "./replica-files.ts";
import { Reserve } from "./reserve.ts";
import { RetentionTimer } from "./retention-timer.ts";
import { type NodeParts, release, shutDown } from "./shut-down.ts";
import { identify, inspectFolders, isFounding, makeTopicsDir } from "./start.ts";
import { Throttle } from "./throttle.ts";
import { openTopic, type TopicContext, type TopicGroup } from "./topic-group.ts";
import { forEachOf, orDiskFull } from "./wait.ts";

/** Topics that are opened side by side at start. */
const OPENING_MAX = 16;

/** Memory that a proposal to the catalogue takes. */
const PROPOSAL_BYTES = 1_024;

export interface NodeOptions {
  /** Its root is the data folder. */
  readonly fs: FileSystem;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** What is not given has its default. */
  readonly settings?: Partial<NodeSettings>;
  /** This process, as others see it in the folder's lock. */
  readonly identity: ProcessIdentity;
  readonly isAlive: (holder: ProcessIdentity) => boolean | Promise<boolean>;
  /**
   * Called once when the node cannot go on: the disk failed, or an entry is not understood.
   * The process must end; nothing is acknowledged any more.
   */
  readonly onFailure: (error: unknown) => void;
}

/**
 * One server's data: the journal, the catalogue and the topics in one folder, from
 * recovery to a clean stop.
 */
export class Node {
  readonly topics: Topics;
  readonly identity: NodeIdentity;
  readonly #parts: NodeParts;
  #closing: Promise<void> | undefined;

  private constructor(parts: NodeParts, identity: NodeIdentity, settings: NodeSettings) {
    const { context, catalogue, reconciler } = parts;
    this.#parts = parts;
    this.identity = identity;
    this.topics = new TopicRegistry({
      catalogue: catalogue.machine.state,
      replicator: catalogue.voter,
      host: reconciler,
      defaults: context.defaults,
      topicCountMax: settings.topicCountMax,
    });
  }

  /**
   * Opens the data folder, or makes it: locks it, recovers the journal, opens every topic
   * at its checkpoint and applies what the journal has beyond it. While the disk is full
   * that goes on in the background, and what is there can be read.
   *
   * @throws DATA_DIR_LOCKED, DATA_DIR_INVALID, JOURNAL_CORRUPT, STORE_CORRUPT, DISK_FULL, DISK_FAILED
   */
  static async open(options: NodeOptions): Promise<Node> {
    const { fs, random, clock } = options;
    const settings = { ...DEFAULT_NODE_SETTINGS, ...options.settings };
    const reserve = new Reserve(fs, random);
    const lock = await lockWithReserve(options, reserve);
    let parts: NodeParts;
    let identity: NodeIdentity;
    try {
      identity = await identify(fs, random, clock.wallUs());
      parts = await openParts(options, settings, { identity, lock, reserve });
    } catch (error) {
      await lock.release().catch(() => {});
      throw error;
    }
    const node = new Node(parts, identity, settings);
    try {
      await recoverTopics(parts);
      await foundCluster(parts, identity);
      if (parts.catalogue.machine.state.get(DEFAULT_TOPIC_NAME) === undefined) {
        await node.topics.create(DEFAULT_TOPIC_NAME, {});
      }
      await reserve.fill();
    } catch (error) {
      await release(parts, new ProglogError("DRAINING", "The server did not start"));
      throw error;
    }
    parts.checkpoints.poke();
    return node;
  }

  /** True while the disk has no room: appends are refused, reads go on. */
  get isDiskFull(): boolean {
    const { context, reconciler } = this.#parts;
    if (context.journal.isDiskFull) return true;
    return reconciler.topics().some(({ group }) => group.machine.isDiskFull);
  }

  /** True while some topic is older than what was acknowledged before the start, for want of room. */
  get isRecovering(): boolean {
    return this.#parts.reconciler.topics().some(({ group }) => group.voter.isRecovering);
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

/** Begins the cluster of one, unless that was done before. */
async function foundCluster({ catalogue }: NodeParts, identity: NodeIdentity): Promise<void> {
  if (catalogue.machine.state.clusterId !== "") return;
  const { nodeId, clusterId } = identity;
  const unknown = { address: "", zone: "", version: "", folderNonce: "" };
  const server = { nodeId, featureLevel: FEATURE_LEVEL, ...unknown };
  await catalogue.voter.propose({ kind: "found", clusterId, server }, { bytes: PROPOSAL_BYTES });
}

async function openParts(
  options: NodeOptions,
  settings: NodeSettings,
  {
    identity,
    lock,
    reserve,
  }: {
    readonly identity: NodeIdentity;
    readonly lock: FolderLock;
    readonly reserve: Reserve;
  },
): Promise<NodeParts> {
  const { nodeId } = identity;
  const { fs, clock, random, logger } = options;
  const failure = new NodeFailure(logger, options.onFailure);
  const onFailure = (error: unknown) => failure.report(error);
  const { sync, journalFileBytes: fileBytes } = settings;
  const journal = await Journal.open({ fs, clock, random, logger, fileBytes, sync, onFailure });
  let checkpoints: Checkpoints | undefined;
  let throttle: Throttle | undefined;
  const context: TopicContext = {
    nodeId,
    fs,
    journal,
    sync,
    reserve,
    clock,
    logger,
    admission: new Admission({
      bytesMax: settings.inFlightBytesMax,
      laneBytesMax: settings.topicInFlightBytesMax,
      waitingBytesMax: settings.waitingBytesMax,
      waitingCountMax: settings.waitingCountMax,
    }),
    defaults: settings.topicDefaults,
    pendingBytesMax: settings.topicInFlightBytesMax,
    writeDelayMs: settings.writeDelayMs,
    tailMemory: new TailMemory(settings.tailBytesMax),
    topicTailBytesMax: settings.topicTailBytesMax,
    onApplied: () => {
      throttle?.poke();
      checkpoints?.poke();
    },
    onTrimmedFiles: (replicaId) => checkpoints?.want(replicaId),
    onFailure,
  };
  try {
    // A process that was killed may have made a file of the journal and not synced its name: a
    // power cut must not take it back when there is something in it.
    await syncFolder(fs, JOURNAL_DIR);
    const isNew = await isFounding(fs, journal);
    if (isNew) await makeTopicsDir(fs);
    const catalogue = await (isNew ? createCatalogue(context) : openCatalogue(context));
    await catalogue.voter.recover();
    await inspectFolders(fs, { nodeId, journal, catalogue: catalogue.machine.state, logger });
    const reconciler = new Reconciler(context, catalogue);
    checkpoints = new Checkpoints({
      journal,
      clock,
      groups: () => [
        catalogue,
        ...reconciler.topics().map(({ group }) => group),
        ...reconciler.damagedReplicas().map(neverSaved),
      ],
      journalBytes: settings.checkpointBytes,
      journalBytesMax: settings.journalBytesMax,
      onFailure,
    });
    const { admission } = context;
    throttle = new Throttle({
      journal,
      admission,
      clock,
      journalBytesMax: settings.journalBytesMax,
    });
    const retention = new RetentionTimer({
      clock,
      logger,
      intervalMs: settings.retentionIntervalMs,
      topics: () => reconciler.topics(),
    });
    const workers = { checkpoints, retention, throttle };
    const parts = { lock, failure, context, catalogue, reconciler, ...workers };
    failure.listen((reason) => stopAll(parts, reason));
    return parts;
  } catch (error) {
    await journal.close();
    throw error;
  }
}

/** What a damaged topic has in the journal is copied forward, as when there is no room for a checkpoint. */
function neverSaved(replicaId: number): CheckpointedGroup {
  return { replicaId, isDirty: true, checkpoint: () => Promise.resolve(false) };
}

/** The disk failed: nobody is told that something was appended any more. */
function stopAll({ catalogue, reconciler }: NodeParts, reason: ProglogError): void {
  catalogue.stop(reason);
  for (const { group, handle } of reconciler.topics()) {
    group.stop(reason);
    handle.end(reason);
  }
}

/** Brings the topics to what the catalogue says, and each to where the journal ends. */
async function recoverTopics({ context, catalogue, reconciler, checkpoints }: NodeParts) {
  const { journal, clock } = context;
  const { state } = catalogue.machine;
  const groups: TopicGroup[] = [];
  const topics = state.entries().map((entry) => localTopic(entry, context.nodeId));
  const here = topics.filter((topic) => topic !== undefined);
  await forEachOf(here, OPENING_MAX, async (entry) => {
    if (journal.replica(entry.replicaId) === undefined) {
      await reconciler.settled(entry.id).catch(unlessDiskFull);
      return;
    }
    const group = await openTopic(context, entry).catch((error) => unlessDamaged(error, entry));
    if (group instanceof ProglogError) {
      context.logger.error("A topic is damaged and not served", { topic: entry.name }, group);
      reconciler.setAside(entry, group);
      return;
    }
    reconciler.adopt(entry, group);
    groups.push(group);
  });
  await replayJournal(context, groups);
  await forEachOf(groups, OPENING_MAX, async (group) => {
    const recovering = group.voter.recover();
    await orDiskFull(recovering, () => group.machine.isDiskFull, clock);
    if (group.voter.isRecovering) recovering.catch(context.onFailure);
    // Before anything is judged by it: should the lost checkpoint turn up again, it must be too old.
    if (group.isUnsaved && !(await group.checkpoint())) checkpoints.want(group.replicaId);
  });
}

/** The others are served nevertheless. */
function unlessDamaged(error: unknown, { name }: LocalTopic): ProglogError {
  if (!hasReason(error, "STORE_CORRUPT")) throw error;
  return new ProglogError("STORE_CORRUPT", `Cannot use topic "${name}": ${error.message}`, {
    metadata: { offset: "", ...error.metadata, topic: name },
    cause: error,
  });
}

/** It is tried again; until then the topic is not there. */
function unlessDiskFull(error: unknown): void {
  if (!hasReason(error, "DISK_FULL")) throw error;
}
