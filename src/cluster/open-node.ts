import { ProglogError } from "../base/errors.ts";
import { Journal } from "../journal/journal.ts";
import { Admission } from "../raft/admission.ts";
import { RaftNode } from "../raft/raft-node.ts";
import type { FolderLock } from "../storage/folder-lock.ts";
import { JOURNAL_DIR } from "../storage/layout.ts";
import type { NodeIdentity } from "../storage/node-file.ts";
import type { CatalogueState } from "../topics/catalogue-state.ts";
import { TailMemory } from "../topics/tail.ts";
import { beginCatalogue } from "./begin-catalogue.ts";
import type { CatalogueGroup } from "./catalogue-group.ts";
import { ChangeBell } from "./change-bell.ts";
import { type CheckpointedGroup, Checkpoints } from "./checkpoints.ts";
import { isClockFar } from "./clock-check.ts";
import { ClusterDuties } from "./cluster-duties.ts";
import { ALONE } from "./cluster-options.ts";
import { Courier } from "./courier.ts";
import { noDamage } from "./damage-counts.ts";
import { Directory } from "./directory.ts";
import { GenesisPromises } from "./genesis-promise.ts";
import { Invitations } from "./invitations.ts";
import { lonelyNetwork } from "./lonely-network.ts";
import { NodeFailure } from "./node-failure.ts";
import type { NodeNetwork } from "./node-network.ts";
import type { NodeOptions } from "./node-options.ts";
import type { NodeSettings } from "./node-settings.ts";
import { NodeView } from "./node-view.ts";
import { PeerDesk } from "./peer-desk.ts";
import { type OpenTopic, Reconciler } from "./reconciler.ts";
import { refuseRemoved } from "./removed.ts";
import { syncFolder } from "./replica-files.ts";
import { replicaLeader } from "./replica-leader.ts";
import type { Reserve } from "./reserve.ts";
import { RetentionTimer } from "./retention-timer.ts";
import { type ScrubbedTopic, Scrubber } from "./scrubber.ts";
import type { NodeParts } from "./shut-down.ts";
import { newClusterId } from "./start.ts";
import { Throttle } from "./throttle.ts";
import type { TopicContext } from "./topic-group.ts";

/** What is there before the node's parts are. */
export interface OpenedFolder {
  readonly settings: NodeSettings;
  readonly identity: NodeIdentity;
  readonly lock: FolderLock;
  readonly reserve: Reserve;
}

/**
 * Opens the journal and the catalogue, and puts together all that a node is made of. Its topics are not open yet.
 *
 * @throws what `Journal.open` and `beginCatalogue` throw
 */
export async function openParts(options: NodeOptions, folder: OpenedFolder): Promise<NodeParts> {
  const { fs, clock, random, logger, core } = options;
  const { settings, lock, reserve } = folder;
  const { nodeId } = folder.identity;
  const cluster = options.cluster ?? ALONE;
  const network = options.network ?? lonelyNetwork();
  const failure = new NodeFailure(logger, options.onFailure);
  const onFailure = (error: unknown) => failure.report(error);
  const { sync, journalFileBytes: fileBytes } = settings;
  const journal = await Journal.open({ fs, clock, random, logger, fileBytes, sync, onFailure });
  const directory = new Directory();
  const bell = new ChangeBell();
  const raft = new RaftNode({
    ...{ core, clock, logger, onFailure },
    transport: network.transport,
    nodeOf: (topicId, replicaId) => directory.nodeOf(topicId, replicaId),
  });
  const ownClusterId = newClusterId(random);
  let identity = folder.identity;
  let catalogue: CatalogueGroup | undefined;
  let reconciler: Reconciler | undefined;
  let checkpoints: Checkpoints | undefined;
  let throttle: Throttle | undefined;
  let duties: ClusterDuties | undefined;
  const context: TopicContext = {
    ...{ nodeId, fs, journal, sync, raft, reserve, clock, logger },
    peers: network.peers,
    keptJournalBytesMax: settings.journalBytesMax / 2,
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
    onChange: (topicId) => {
      duties?.groupChanged(topicId);
      bell.ring();
    },
    onPoisoned: (topicId, error) => {
      logger.error("Raft has failed in one topic, which is opened again", { topicId }, error);
      if (reconciler?.reopen(topicId) !== true) onFailure(error);
    },
    onTrimmedFiles: (replicaId) => checkpoints?.want(replicaId),
    isUp: (id) => network.isUp(id),
    damage: noDamage(),
    onFailure,
  };
  const clusterLeader = () => {
    return catalogue && replicaLeader({ group: catalogue, nodeId, directory, cluster });
  };
  const genesis = new GenesisPromises({
    ...{ fs, nodeId },
    clusterId: () => identity.clusterId,
    seeds: cluster.bootstrapExpect === 0 ? [] : [...cluster.join].sort(),
  });
  const invitations = new Invitations();
  network.attach({
    host: new PeerDesk({
      self: () => ({ nodeId, clusterId: identity.clusterId }),
      ...{ raft, genesis, invitations, clusterLeader },
      peers: network.peers,
      catalogue: () => catalogue,
      isUp: (id) => network.isUp(id) === true,
      addressOf: (id) => directory.addressOf(id),
      moved: (id, address) => directory.moved(id, address),
      topic: (topicId) => reconciler?.group(topicId),
    }),
    addressOf: (id) => directory.addressOf(id),
  });
  try {
    // A process that was killed may have made a file of the journal and not synced its name: a
    // power cut must not take it back when there is something in it.
    await syncFolder(fs, JOURNAL_DIR);
    raft.start();
    const began = await beginCatalogue({
      ...{ context, cluster, directory, clock, identity, ownClusterId, invitations },
      peers: network.peers,
      signal: options.signal ?? new AbortController().signal,
      onJoined: (noted) => {
        identity = noted;
      },
      onChanged: () => {
        duties?.catalogueChanged();
        bell.ring();
      },
    });
    catalogue = began;
    directory.follow(began.machine.state);
    await began.raft.recover();
    refuseRemoved(began.machine.state, identity);
    const topics = new Reconciler(context, began);
    reconciler = topics;
    checkpoints = new Checkpoints({
      ...{ journal, clock, onFailure },
      groups: () => [
        began,
        ...topics.topics().map(({ group }) => group),
        ...topics.damagedReplicas().map(({ replicaId }) => neverSaved(replicaId)),
      ],
      journalBytes: settings.checkpointBytes,
      journalBytesMax: settings.journalBytesMax,
    });
    const { journalBytesMax } = settings;
    throttle = new Throttle({ journal, admission: context.admission, clock, journalBytesMax });
    const retention = new RetentionTimer({
      ...{ clock, logger },
      intervalMs: settings.retentionIntervalMs,
      topics: () => topics.topics(),
      isClockFar: () => isClockFar(peerClocks(began.machine.state, network)),
    });
    const scrubber = new Scrubber({
      ...{ clock, logger },
      counts: context.damage,
      topics: () => topics.topics().map(scrubbed),
    });
    const courier = new Courier({ catalogue: began, peers: network.peers, leader: clusterLeader });
    duties = new ClusterDuties({
      ...{ context, cluster, network, courier, directory, ownClusterId },
      catalogue: began,
      reconciler: topics,
      identity: {
        get: () => identity,
        set: (noted) => {
          identity = noted;
        },
      },
    });
    const view = new NodeView({
      ...{ context, cluster, network, courier, directory, bell },
      catalogue: began,
      reconciler: topics,
      clusterId: () => identity.clusterId,
    });
    const workers = { checkpoints, retention, scrubber, throttle, duties };
    const parts = {
      ...{ lock, failure, context, network, courier, directory, view, bell },
      ...workers,
      catalogue: began,
      reconciler: topics,
      identity: () => identity,
    };
    failure.listen((reason) => stopAll(parts, reason));
    return parts;
  } catch (error) {
    raft.stop();
    catalogue?.stop(new ProglogError("DRAINING", "The server did not start"));
    await network.close();
    await journal.close();
    throw error;
  }
}

function scrubbed({ entry, group }: OpenTopic): ScrubbedTopic {
  return { name: entry.name, isOpen: () => !group.isStopped, replica: group.machine };
}

/** What the clocks of other members are ahead of ours, as far as it is known. */
function peerClocks(state: CatalogueState, network: NodeNetwork): readonly number[] {
  const offsets = state.members().map(({ nodeId }) => network.clockOffsetUs(nodeId));
  return offsets.filter((offsetUs) => offsetUs !== undefined);
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
