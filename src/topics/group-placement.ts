import { type ByteReader, type ByteWriter, MalformedBytesError } from "../base/bytes.ts";

/** The part that a replica is wanted to play; which it plays now, its group's leader knows. */
export type ReplicaRole = "voter" | "learner";

/** A node that shall hold a replica of a group. */
export interface WantedPlace {
  readonly nodeId: string;
  readonly role: ReplicaRole;
}

export interface ReplicaPlace extends WantedPlace {
  /** Raft id: unique in the cluster, never given twice. */
  readonly replicaId: number;
}

/** Where the replicas of a group are, and shall be. No node shall have two of them; one that was replaced is leaving. */
export interface GroupPlacement {
  /** The group's membership at its virtual first entry: such replicas begin there, others empty. */
  readonly initial: readonly ReplicaPlace[];
  /** Those that are wanted, in node id order. */
  readonly replicas: readonly ReplicaPlace[];
  /** Those that are not any more, and may still belong to the group. */
  readonly leaving: readonly ReplicaPlace[];
  /** From 1; one more whenever it is changed what is wanted. */
  readonly placementVersion: number;
}

/** The replica that the node holds or shall hold, also one that is leaving. */
export function placeOn(group: GroupPlacement, nodeId: string): ReplicaPlace | undefined {
  const isThere = (place: ReplicaPlace) => place.nodeId === nodeId;
  return group.replicas.find(isThere) ?? group.leaving.find(isThere);
}

/** True when there is a voter, and no node is named twice. */
export function isPlacement(places: readonly WantedPlace[]): boolean {
  const nodes = new Set(places.map(({ nodeId }) => nodeId));
  return nodes.size === places.length && places.some(({ role }) => role === "voter");
}

/** A group that did not exist before. */
export function newGroup(places: readonly WantedPlace[], giveId: () => number): GroupPlacement {
  const replicas = inNodeOrder(places).map((place) => placed(place, giveId()));
  return { initial: replicas, replicas, leaving: [], placementVersion: 1 };
}

/**
 * The group when `places` is all that is wanted. Nodes that stay keep their replica's id, and so does one
 * whose replica was leaving and has not left: it holds its log still. Others get a new id.
 */
export function changeGroup<G extends GroupPlacement>(
  group: G,
  places: readonly WantedPlace[],
  giveId: () => number,
): G {
  // What was replaced on its node comes first, so that the one that took its place counts.
  const here = [...group.leaving, ...group.replicas];
  const ids = new Map(here.map(({ nodeId, replicaId }) => [nodeId, replicaId]));
  const replicas = inNodeOrder(places).map((place) =>
    placed(place, ids.get(place.nodeId) ?? giveId()),
  );
  return wanting(group, replicas);
}

/** The group when a replica that is lost leaves, and its node gets another one for it. */
export function replaceReplica<G extends GroupPlacement>(
  group: G,
  replicaId: number,
  newId: number,
): G {
  const replicas = group.replicas.map((place) =>
    place.replicaId === replicaId ? { ...place, replicaId: newId } : place,
  );
  return wanting(group, replicas);
}

/** The group without the node: what it holds is leaving. The same group when it holds nothing. */
export function withoutNode<G extends GroupPlacement>(group: G, nodeId: string): G {
  const rest = group.replicas.filter((place) => place.nodeId !== nodeId);
  if (rest.length === group.replicas.length) return group;
  return wanting(group, rest);
}

/** The group when the replica belongs to it no more. */
export function withoutReplica<G extends GroupPlacement>(group: G, replicaId: number): G {
  const leaving = group.leaving.filter((place) => place.replicaId !== replicaId);
  return { ...group, leaving };
}

/** True when both name the same nodes in the same roles. */
export function isSamePlacement(
  left: readonly WantedPlace[],
  right: readonly WantedPlace[],
): boolean {
  const roles = new Map(right.map(({ nodeId, role }) => [nodeId, role]));
  return left.length === right.length && left.every((at) => roles.get(at.nodeId) === at.role);
}

/** Bytes: `[count varint]` then per place `[node id][role u8: 1 voter, 2 learner]`. */
export function writePlaces(writer: ByteWriter, places: readonly WantedPlace[]): void {
  writer.varint(places.length);
  for (const place of places) writePlace(writer, place);
}

export function readPlaces(reader: ByteReader): WantedPlace[] {
  const places: WantedPlace[] = [];
  for (let left = reader.varint(); left > 0; left -= 1) places.push(readPlace(reader));
  return places;
}

/**
 * Bytes: `[version varint]`, then the initial replicas, the wanted ones and the leaving ones, each
 * `[count varint]` and per replica `[replica id varint][node id][role u8]`.
 */
export function writeGroup(writer: ByteWriter, group: GroupPlacement): void {
  writer.varint(group.placementVersion);
  for (const replicas of [group.initial, group.replicas, group.leaving]) {
    writer.varint(replicas.length);
    for (const place of replicas) writePlace(writer.varint(place.replicaId), place);
  }
}

export function readGroup(reader: ByteReader): GroupPlacement {
  const placementVersion = reader.varint();
  const initial = readReplicas(reader);
  const replicas = readReplicas(reader);
  return { initial, replicas, leaving: readReplicas(reader), placementVersion };
}

function readReplicas(reader: ByteReader): ReplicaPlace[] {
  const replicas: ReplicaPlace[] = [];
  for (let left = reader.varint(); left > 0; left -= 1) {
    const replicaId = reader.varint();
    replicas.push({ replicaId, ...readPlace(reader) });
  }
  return replicas;
}

const ROLE_TAGS: Readonly<Record<ReplicaRole, number>> = { voter: 1, learner: 2 };

function writePlace(writer: ByteWriter, { nodeId, role }: WantedPlace): void {
  writer.text(nodeId).u8(ROLE_TAGS[role]);
}

function readPlace(reader: ByteReader): WantedPlace {
  const nodeId = reader.text();
  const tag = reader.u8();
  if (tag === ROLE_TAGS.voter) return { nodeId, role: "voter" };
  if (tag === ROLE_TAGS.learner) return { nodeId, role: "learner" };
  throw new MalformedBytesError(`No role of a replica has the tag ${tag}`);
}

function wanting<G extends GroupPlacement>(group: G, replicas: readonly ReplicaPlace[]): G {
  const wantedIds = new Set(replicas.map(({ replicaId }) => replicaId));
  const leaving = [...group.leaving, ...group.replicas].filter(
    ({ replicaId }) => !wantedIds.has(replicaId),
  );
  return { ...group, replicas, leaving, placementVersion: group.placementVersion + 1 };
}

function placed({ nodeId, role }: WantedPlace, replicaId: number): ReplicaPlace {
  return { replicaId, nodeId, role };
}

function inNodeOrder(places: readonly WantedPlace[]): WantedPlace[] {
  return places.toSorted((left, right) => (left.nodeId < right.nodeId ? -1 : 1));
}
