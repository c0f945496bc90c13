import { type ByteReader, type ByteWriter, MalformedBytesError } from "../base/bytes.ts";
import type { FoundCommand, UpdateServerCommand } from "./catalogue-commands.ts";
import { type CatalogueOutcome, refuse } from "./catalogue-outcomes.ts";
import {
  changeGroup,
  type GroupPlacement,
  newGroup,
  placeOn,
  readGroup,
  withoutNode,
  writeGroup,
} from "./group-placement.ts";
import {
  brokenField,
  isClusterId,
  isZone,
  KNOWN_SERVER_COUNT_MAX,
  MEMBER_COUNT_MAX,
  type Member,
  readMemberState,
  readServer,
  type ServerInfo,
  writeMemberState,
  writeServer,
} from "./members.ts";

/** Raft id of the founder's replica of `_cluster`. */
export const CATALOGUE_REPLICA_ID = 1;

const NOWHERE: GroupPlacement = { initial: [], replicas: [], leaving: [], placementVersion: 0 };

/**
 * The part of the catalogue that is about servers: the cluster's id, its members, the ids that never
 * come back, and the placement of `_cluster`, of which every member holds a replica.
 */
export class Membership {
  readonly #members = new Map<string, Member>();
  readonly #removed = new Set<string>();
  #clusterId = "";
  #group = NOWHERE;
  /** Undefined after a change. */
  #inOrder: readonly Member[] | undefined;

  get clusterId(): string {
    return this.#clusterId;
  }

  /** Of `_cluster`. */
  get group(): GroupPlacement {
    return this.#group;
  }

  set group(group: GroupPlacement) {
    this.#group = group;
  }

  get size(): number {
    return this.#members.size;
  }

  get(nodeId: string): Member | undefined {
    return this.#members.get(nodeId);
  }

  has(nodeId: string): boolean {
    return this.#members.has(nodeId);
  }

  /** In id order. */
  all(): readonly Member[] {
    this.#inOrder ??= [...this.#members.values()].sort((left, right) =>
      left.nodeId < right.nodeId ? -1 : 1,
    );
    return this.#inOrder;
  }

  isRemoved(nodeId: string): boolean {
    return this.#removed.has(nodeId);
  }

  /** In the order in which they were removed. */
  removedIds(): readonly string[] {
    return [...this.#removed];
  }

  found({ clusterId, server }: FoundCommand): CatalogueOutcome {
    if (this.#clusterId !== "") return refuse("CLUSTER_FOUNDED", { clusterId: this.#clusterId });
    const field = isClusterId(clusterId) ? brokenField(server) : "clusterId";
    if (field !== undefined) return refuse("FIELD_INVALID", { field });
    this.#clusterId = clusterId;
    this.#group = newGroup([{ nodeId: server.nodeId, role: "voter" }], () => CATALOGUE_REPLICA_ID);
    const member = newMember(server, CATALOGUE_REPLICA_ID);
    this.#set(member);
    return { kind: "founded", member };
  }

  /** @param giveId called once if it is a new member */
  add(server: ServerInfo, giveId: () => number): CatalogueOutcome {
    const { nodeId } = server;
    if (this.#clusterId === "") return refuse("CLUSTER_NOT_FOUNDED", {});
    const field = brokenField(server);
    if (field !== undefined) return refuse("FIELD_INVALID", { field });
    if (this.#removed.has(nodeId)) return refuse("SERVER_REMOVED", { serverId: nodeId });
    const known = this.#members.get(nodeId);
    if (known !== undefined) return this.#move(known, server);
    if (this.size >= MEMBER_COUNT_MAX) return serverLimit(MEMBER_COUNT_MAX);
    // The removed ones count too, so that a member can always be removed.
    if (this.size + this.#removed.size >= KNOWN_SERVER_COUNT_MAX) {
      return serverLimit(KNOWN_SERVER_COUNT_MAX);
    }
    const clusterReplicaId = giveId();
    const learner = { nodeId, role: "learner" } as const;
    const places = [...this.#group.replicas, learner];
    this.#group = changeGroup(this.#group, places, () => clusterReplicaId);
    const member = newMember(server, clusterReplicaId);
    this.#set(member);
    return { kind: "serverAdded", member, isNew: true };
  }

  update({ nodeId, state, zone }: UpdateServerCommand): CatalogueOutcome {
    const known = this.#members.get(nodeId);
    if (known === undefined) return refuse("SERVER_NOT_FOUND", { serverId: nodeId });
    if (zone !== undefined && !isZone(zone)) return refuse("FIELD_INVALID", { field: "zone" });
    const member = { ...known, state: state ?? known.state, zone: zone ?? known.zone };
    this.#set(member);
    return { kind: "serverUpdated", member };
  }

  remove(nodeId: string): void {
    this.#group = withoutNode(this.#group, nodeId);
    this.#members.delete(nodeId);
    this.#removed.add(nodeId);
    this.#inOrder = undefined;
  }

  /** A member says where it is now. What it does not say stays as it was. */
  #move(known: Member, server: ServerInfo): CatalogueOutcome {
    if (known.folderNonce !== server.folderNonce) {
      return refuse("SERVER_ID_TAKEN", { serverId: known.nodeId });
    }
    const address = server.address === "" ? known.address : server.address;
    const zone = server.zone === "" ? known.zone : server.zone;
    const { version, featureLevel } = server;
    const member = { ...known, address, zone, version, featureLevel };
    this.#set(member);
    return { kind: "serverAdded", member, isNew: false };
  }

  #set(member: Member): void {
    this.#members.set(member.nodeId, member);
    this.#inOrder = undefined;
  }

  /**
   * Bytes: `[cluster id: length varint, UTF-8][placement of _cluster: see writeGroup]`, then
   * `[count varint]` and per member, by id, `[server: see writeServer][state u8]`, then
   * `[count varint]` and the removed ids.
   */
  write(writer: ByteWriter): void {
    writeGroup(writer.text(this.#clusterId), this.#group);
    writer.varint(this.#members.size);
    for (const member of this.all()) {
      writeServer(writer, member);
      writeMemberState(writer, member.state);
    }
    writer.varint(this.#removed.size);
    for (const nodeId of this.#removed) writer.text(nodeId);
  }

  static read(reader: ByteReader): Membership {
    const table = new Membership();
    table.#clusterId = reader.text();
    table.#group = readGroup(reader);
    for (let left = reader.varint(); left > 0; left -= 1) {
      const server = readServer(reader);
      const place = placeOn(table.#group, server.nodeId);
      if (place === undefined) {
        throw new MalformedBytesError(`Member ${server.nodeId} does not hold the catalogue`);
      }
      const state = readMemberState(reader);
      table.#members.set(server.nodeId, { ...server, state, clusterReplicaId: place.replicaId });
    }
    for (let left = reader.varint(); left > 0; left -= 1) table.#removed.add(reader.text());
    return table;
  }
}

/** Only what is known of a server: the command may have come from an object with more. */
function newMember(server: ServerInfo, clusterReplicaId: number): Member {
  const { nodeId, address, zone, version, featureLevel, folderNonce } = server;
  const info = { nodeId, address, zone, version, featureLevel, folderNonce };
  return { ...info, state: "active", clusterReplicaId };
}

function serverLimit(serverCountMax: number): CatalogueOutcome {
  return refuse("SERVER_LIMIT", { serverCountMax: `${serverCountMax}` });
}
