import type { Clock } from "../base/clock.ts";
import type { NodeIdentity } from "../storage/node-file.ts";
import { CATALOGUE_REPLICA_ID } from "../topics/catalogue-members.ts";
import { FEATURE_LEVEL, type ServerInfo } from "../topics/members.ts";
import { awaitBeginning } from "./bootstrap.ts";
import { type CatalogueGroup, createCatalogue, openCatalogue } from "./catalogue-group.ts";
import type { ClusterOptions } from "./cluster-options.ts";
import type { Directory } from "./directory.ts";
import type { GroupContext } from "./group.ts";
import type { Invitations } from "./invitations.ts";
import { joinCluster } from "./join-cluster.ts";
import type { JoinAnswer, PeerCalls } from "./peer-host.ts";
import { catalogueReplica, makeTopicsDir, noteCluster, refuseLostJournal } from "./start.ts";

export interface BeginningParts {
  readonly context: GroupContext;
  readonly cluster: ClusterOptions;
  readonly peers: PeerCalls;
  readonly directory: Directory;
  readonly clock: Clock;
  readonly identity: NodeIdentity;
  /** The id that the cluster gets should this node found it. */
  readonly ownClusterId: string;
  readonly invitations: Invitations;
  /** The node belongs to that cluster from now on. */
  readonly onJoined: (identity: NodeIdentity) => void;
  /** Something in the catalogue has changed. */
  readonly onChanged: () => void;
  /** Aborted when the node is to stop before it has begun. */
  readonly signal: AbortSignal;
}

/**
 * Opens this node's replica of the catalogue, or makes it: as the founder of a cluster, or as a member of one
 * that others have founded. A folder that belongs to a cluster never founds another one.
 *
 * @throws JOURNAL_CORRUPT when the journal was lost; CLUSTER_FOREIGN, SERVER_ID_TAKEN, SERVER_REMOVED
 */
export async function beginCatalogue(parts: BeginningParts): Promise<CatalogueGroup> {
  const { context, identity, onChanged } = parts;
  const { fs, journal } = context;
  const known = catalogueReplica(journal);
  if (known !== undefined) {
    const catalogue = await openCatalogue(context, known, onChanged);
    // Taken in, but stopped before the catalogue came: until then only the answer says where the others are.
    const isExpected = catalogue.machine.state.clusterId === "" && known !== CATALOGUE_REPLICA_ID;
    if (!isExpected) return catalogue;
    const answer = await join(parts);
    if (identity.clusterId === "") await note(parts, answer);
    return catalogue;
  }
  await refuseLostJournal(fs, journal, identity);
  await makeTopicsDir(fs);
  if (await founds(parts)) return await createCatalogue(context, CATALOGUE_REPLICA_ID, onChanged);
  const answer = await join(parts);
  const catalogue = await createCatalogue(context, answer.clusterReplicaId, onChanged);
  await note(parts, answer);
  return catalogue;
}

/** What this node says of itself. */
export function serverInfo(
  { nodeId, folderNonce }: NodeIdentity,
  cluster: ClusterOptions,
): ServerInfo {
  const { zone, version } = cluster;
  const address = cluster.address();
  return { nodeId, address, zone, version, featureLevel: FEATURE_LEVEL, folderNonce };
}

async function founds(parts: BeginningParts): Promise<boolean> {
  const { cluster, peers, clock, ownClusterId, context, identity, invitations, signal } = parts;
  if (cluster.bootstrapExpect === 0) return cluster.join.length === 0;
  const beginning = await awaitBeginning({
    ...{ peers, clock, signal },
    logger: context.logger,
    nodeId: identity.nodeId,
    clusterId: ownClusterId,
    seeds: [...cluster.join].sort(),
    isInvited: () => invitations.addresses.length > 0,
  });
  return beginning === "found";
}

async function join(parts: BeginningParts): Promise<JoinAnswer> {
  const { cluster, peers, clock, context, identity, invitations, directory, signal } = parts;
  const answer = await joinCluster({
    ...{ peers, clock, signal },
    logger: context.logger,
    addresses: () => [...invitations.addresses, ...cluster.join],
    request: { ...serverInfo(identity, cluster), clusterId: identity.clusterId },
  });
  directory.learn(answer);
  return answer;
}

async function note(parts: BeginningParts, { clusterId }: JoinAnswer): Promise<void> {
  parts.onJoined(await noteCluster(parts.context.fs, parts.identity, clusterId));
}
