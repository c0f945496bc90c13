import { never } from "../base/assert.ts";
import { ByteReader, ByteWriter, MalformedBytesError } from "../base/bytes.ts";
import type {
  CatalogueCommand,
  CreateCommand,
  DeleteCommand,
  LeftCommand,
  PlaceCommand,
  RemoveServerCommand,
  ReplaceCommand,
  TargetCommand,
} from "./catalogue-commands.ts";
import { Membership } from "./catalogue-members.ts";
import { type CatalogueOutcome, refuse } from "./catalogue-outcomes.ts";
import { type CatalogueEntry, readEntry, TopicTable, writeEntry } from "./catalogue-topics.ts";
import {
  changeGroup,
  type GroupPlacement,
  isPlacement,
  isSamePlacement,
  newGroup,
  placeOn,
  replaceReplica,
  type WantedPlace,
  withoutNode,
  withoutReplica,
} from "./group-placement.ts";
import type { Member } from "./members.ts";
import { CLUSTER_TOPIC_NAME, DEFAULT_TOPIC_NAME, isServerTopic } from "./names.ts";
import { TOPIC_SETTINGS } from "./settings.ts";

/** The catalogue's own group. */
export const CATALOGUE_TOPIC_ID = 0;

const SNAPSHOT_VERSION = 2;
const FIRST_TOPIC_ID = 1;
/** 1 is the founder's replica of `_cluster`. */
const FIRST_REPLICA_ID = 2;
/** Of a topic: no other replication factor can be set. */
const REPLICA_COUNT_MAX = TOPIC_SETTINGS.replicationFactor.max;

/**
 * The state machine of `_cluster`: which servers belong to the cluster, which topics there are, and
 * where their replicas shall be. Deterministic, as TopicState is. Applying a command changes only
 * this; on each node a reconciler makes and removes replicas, and the leader of each group brings its
 * membership to what is wanted. Ids are counted up and never given twice: one below the next that is
 * not listed was given, and is of no use any more.
 */
export class CatalogueState {
  #members = new Membership();
  #topics = new TopicTable();
  #nextTopicId = FIRST_TOPIC_ID;
  #nextReplicaId = FIRST_REPLICA_ID;
  #lastTimeUs = 0;

  /** Empty before the cluster is founded. */
  get clusterId(): string {
    return this.#members.clusterId;
  }

  /** Highest level that every member knows; 0 without members. */
  get featureLevel(): number {
    const levels = this.members().map(({ featureLevel }) => featureLevel);
    return levels.length === 0 ? 0 : Math.min(...levels);
  }

  /** In id order. */
  members(): readonly Member[] {
    return this.#members.all();
  }

  member(nodeId: string): Member | undefined {
    return this.#members.get(nodeId);
  }

  /** True for the id of a removed member, which never comes back. */
  isRemoved(nodeId: string): boolean {
    return this.#members.isRemoved(nodeId);
  }

  get removedNodeIds(): readonly string[] {
    return this.#members.removedIds();
  }

  /** Above every id that was given to a topic. */
  get nextTopicId(): number {
    return this.#nextTopicId;
  }

  /** Above every id that was given to a replica. */
  get nextReplicaId(): number {
    return this.#nextReplicaId;
  }

  /** Also of `_cluster`. Undefined when there is no such topic. */
  group(topicId: number): GroupPlacement | undefined {
    return topicId === CATALOGUE_TOPIC_ID ? this.#members.group : this.#topics.byId(topicId);
  }

  get(name: string): CatalogueEntry | undefined {
    return this.#topics.get(name);
  }

  byId(topicId: number): CatalogueEntry | undefined {
    return this.#topics.byId(topicId);
  }

  /** In name order (by UTF-16 units, which for names is byte order). */
  entries(): readonly CatalogueEntry[] {
    return this.#topics.list({ limit: this.#topics.size });
  }

  /** Topics whose names begin with `prefix` and come after `after`, at most `limit`. */
  list(options: { prefix?: string; after?: string; limit: number }): CatalogueEntry[] {
    return this.#topics.list(options);
  }

  /** Carries out a command. They come in order, each once. */
  apply(command: CatalogueCommand): CatalogueOutcome {
    switch (command.kind) {
      case "found":
        return this.#members.found(command);
      case "addServer":
        return this.#members.add(command.server, () => this.#giveReplicaId());
      case "updateServer":
        return this.#members.update(command);
      case "removeServer":
        return this.#removeServer(command);
      case "create":
        return this.#create(command);
      case "delete":
        return this.#delete(command);
      case "target":
        return this.#target(command);
      case "place":
        return this.#place(command);
      case "left":
        return this.#left(command);
      case "replace":
        return this.#replace(command);
      default:
        return never(command);
    }
  }

  #removeServer({ nodeId, force }: RemoveServerCommand): CatalogueOutcome {
    const serverId = nodeId;
    if (!this.#members.has(nodeId)) return refuse("SERVER_NOT_FOUND", { serverId });
    const held = this.entries().filter((entry) => placeOn(entry, nodeId) !== undefined);
    if (held.length > 0 && !force) {
      return refuse("SERVER_HAS_REPLICAS", { serverId, replicaCount: `${held.length}` });
    }
    // What has no voter left is lost: not even force does that.
    if (!isPlacement(withoutNode(this.#members.group, nodeId).replicas)) {
      return refuse("QUORUM_AT_RISK", { serverId, topic: CLUSTER_TOPIC_NAME });
    }
    const changed = held.map((entry) => withoutNode(entry, nodeId));
    const lost = changed.find(({ replicas }) => !isPlacement(replicas));
    if (lost !== undefined) return refuse("QUORUM_AT_RISK", { serverId, topic: lost.name });
    for (const entry of changed) this.#topics.set(entry);
    this.#members.remove(nodeId);
    return { kind: "serverRemoved" };
  }

  #create(command: CreateCommand & { readonly clockUs: number }): CatalogueOutcome {
    const { name, topicCountMax, settings, places } = command;
    if (this.#topics.get(name) !== undefined) return refuse("TOPIC_EXISTS", { topic: name });
    if (this.#topics.size >= topicCountMax) {
      return refuse("TOPIC_LIMIT", { topicCountMax: `${topicCountMax}` });
    }
    if (!this.#canHold(places)) return refuse("PLACEMENT_STALE", { topic: name });
    this.#lastTimeUs = Math.max(command.clockUs, this.#lastTimeUs);
    const entry: CatalogueEntry = {
      name,
      id: this.#nextTopicId,
      createTimeUs: this.#lastTimeUs,
      settings,
      replicationFactor: settings.replicationFactor ?? 0,
      ...newGroup(places, () => this.#giveReplicaId()),
    };
    this.#nextTopicId += 1;
    this.#topics.set(entry);
    return { kind: "created", entry };
  }

  #delete({ name, topicId }: DeleteCommand): CatalogueOutcome {
    if (name === DEFAULT_TOPIC_NAME || isServerTopic(name)) {
      return refuse("TOPIC_RESERVED", { topic: name });
    }
    const entry = this.#topics.get(name);
    if (entry === undefined) return refuse("TOPIC_NOT_FOUND", { topic: name });
    if (topicId !== 0 && topicId !== entry.id) {
      return refuse("TOPIC_REPLACED", { topic: name, topicId: `${entry.id}` });
    }
    this.#topics.delete(entry);
    return { kind: "deleted", entry };
  }

  #target({ topicId, replicationFactor }: TargetCommand): CatalogueOutcome {
    const entry = this.#topics.byId(topicId);
    if (entry === undefined) return refuse("PLACEMENT_STALE", { topicId: `${topicId}` });
    if (replicationFactor > REPLICA_COUNT_MAX) {
      return refuse("FIELD_INVALID", { field: "replicationFactor" });
    }
    this.#topics.set({ ...entry, replicationFactor });
    return { kind: "targeted" };
  }

  #place({ topicId, placementVersion, places }: PlaceCommand): CatalogueOutcome {
    const group = this.group(topicId);
    const isStale = group?.placementVersion !== placementVersion || !this.#canHold(places, topicId);
    if (group === undefined || isStale) {
      return refuse("PLACEMENT_STALE", { topicId: `${topicId}` });
    }
    if (isSamePlacement(group.replicas, places)) return { kind: "placed", group };
    const changed = changeGroup(group, places, () => this.#giveReplicaId());
    this.#setGroup(topicId, changed);
    return { kind: "placed", group: changed };
  }

  #left({ topicId, placementVersion, replicaId }: LeftCommand): CatalogueOutcome {
    const group = this.group(topicId);
    const isLeaving = group?.leaving.some((place) => place.replicaId === replicaId) ?? false;
    // Said before, or its topic was deleted.
    if (group === undefined || !isLeaving) return { kind: "left" };
    if (group.placementVersion !== placementVersion) {
      return refuse("PLACEMENT_STALE", { topicId: `${topicId}` });
    }
    this.#setGroup(topicId, withoutReplica(group, replicaId));
    return { kind: "left" };
  }

  /** The others decide without it, so they must be a majority, and no change may be under way. */
  #replace({ topicId, placementVersion, replicaId }: ReplaceCommand): CatalogueOutcome {
    const entry = this.#topics.byId(topicId);
    const lost = entry?.replicas.find((place) => place.replicaId === replicaId);
    if (entry?.placementVersion !== placementVersion || lost === undefined) {
      return refuse("PLACEMENT_STALE", { topicId: `${topicId}` });
    }
    const voters = entry.replicas.filter(({ role }) => role === "voter");
    const others = voters.filter((place) => place !== lost);
    if (entry.leaving.length > 0 || others.length <= voters.length / 2) {
      return refuse("QUORUM_AT_RISK", { serverId: lost.nodeId, topic: entry.name });
    }
    const group = replaceReplica(entry, replicaId, this.#giveReplicaId());
    this.#setGroup(topicId, group);
    return { kind: "placed", group };
  }

  /** True when a topic can be at these places; `_cluster` is on every member. */
  #canHold(places: readonly WantedPlace[], topicId?: number): boolean {
    const isEnough =
      topicId === CATALOGUE_TOPIC_ID
        ? places.length === this.#members.size
        : places.length <= REPLICA_COUNT_MAX;
    return (
      isEnough && isPlacement(places) && places.every(({ nodeId }) => this.#members.has(nodeId))
    );
  }

  #setGroup(topicId: number, group: GroupPlacement): void {
    const entry = this.#topics.byId(topicId);
    if (entry === undefined) this.#members.group = group;
    else this.#topics.set({ ...entry, ...group });
  }

  #giveReplicaId(): number {
    this.#nextReplicaId += 1;
    return this.#nextReplicaId - 1;
  }

  /** Becomes what `other` is, which is not used afterwards: a leader's snapshot takes the place of what was applied here. */
  become(other: CatalogueState): void {
    this.#members = other.#members;
    this.#topics = other.#topics;
    this.#nextTopicId = other.#nextTopicId;
    this.#nextReplicaId = other.#nextReplicaId;
    this.#lastTimeUs = other.#lastTimeUs;
  }

  /**
   * The state as a checkpoint holds it:
   *
   *     [version u8 = 2][next topic id varint][next replica id varint][last time varint]
   *     [servers: see Membership.write]
   *     [topic count varint] and the topics by name: see writeEntry
   */
  encode(): Uint8Array {
    const writer = new ByteWriter().u8(SNAPSHOT_VERSION);
    writer.varint(this.#nextTopicId).varint(this.#nextReplicaId).varint(this.#lastTimeUs);
    this.#members.write(writer);
    writer.varint(this.#topics.size);
    for (const entry of this.entries()) writeEntry(writer, entry);
    return writer.finish();
  }

  /** Reads what {@link encode} wrote. @throws MalformedBytesError also for an unknown version */
  static decode(bytes: Uint8Array): CatalogueState {
    const reader = new ByteReader(bytes);
    const version = reader.u8();
    if (version !== SNAPSHOT_VERSION) {
      throw new MalformedBytesError(`The catalogue's state has the unknown version ${version}`);
    }
    const state = new CatalogueState();
    state.#nextTopicId = reader.varint();
    state.#nextReplicaId = reader.varint();
    state.#lastTimeUs = reader.varint();
    state.#members = Membership.read(reader);
    for (let left = reader.varint(); left > 0; left -= 1) state.#topics.set(readEntry(reader));
    if (reader.remaining > 0) {
      throw new MalformedBytesError(`The catalogue has ${reader.remaining} bytes too many`);
    }
    return state;
  }
}
