import { ByteReader, ByteWriter, MalformedBytesError } from "../base/bytes.ts";
import { readPlaces, type WantedPlace, writePlaces } from "./group-placement.ts";
import {
  type MemberState,
  readMemberState,
  readServer,
  type ServerInfo,
  writeMemberState,
  writeServer,
} from "./members.ts";
import { readSettings, writeSettings } from "./settings.ts";
import type { TopicSettings } from "./topics.ts";

/**
 * What the Raft entries of `_cluster` hold. Each begins
 *
 *     [version u8 = 2][kind u8][leader's clock, us since 1970: varint]
 *
 * and goes on by kind; texts are `[length varint][UTF-8]`:
 *
 *     1 found         [cluster id][server: see writeServer]
 *     2 addServer     [server]
 *     3 updateServer  [node id][fields u8][state u8, if bit 0][zone, if bit 1]
 *     4 removeServer  [node id][force u8: 0 or 1]
 *     5 create        [name][most topics varint][settings: see writeSettings][places: see writePlaces]
 *     6 delete        [name][topic id varint; 0: whichever has the name]
 *     7 target        [topic id varint][replication factor varint; 0: the default]
 *     8 place         [topic id varint][placement version varint][places]
 *     9 left          [topic id varint][placement version varint][replica id varint]
 *     10 replace      [topic id varint][placement version varint][replica id varint]
 *
 * Decoding is as strict as that of topic commands, for the same reason.
 */
const CATALOGUE_COMMAND_VERSION = 2;

const KINDS = {
  found: 1,
  addServer: 2,
  updateServer: 3,
  removeServer: 4,
  create: 5,
  delete: 6,
  target: 7,
  place: 8,
  left: 9,
  replace: 10,
} as const satisfies Record<CatalogueCommand["kind"], number>;

const FIELD_STATE = 1;
const FIELD_ZONE = 2;

/** Begins a cluster with its first member, once. */
export interface FoundCommand {
  readonly kind: "found";
  readonly clusterId: string;
  readonly server: ServerInfo;
}

/** Takes a server in; repeated by a member it says where the member is now. */
export interface AddServerCommand {
  readonly kind: "addServer";
  readonly server: ServerInfo;
}

export interface UpdateServerCommand {
  readonly kind: "updateServer";
  readonly nodeId: string;
  readonly state?: MemberState | undefined;
  readonly zone?: string | undefined;
}

export interface RemoveServerCommand {
  readonly kind: "removeServer";
  readonly nodeId: string;
  /** Also when it holds replicas. */
  readonly force: boolean;
}

export interface CreateCommand {
  readonly kind: "create";
  readonly name: string;
  /** The leader's limit: it travels, since a setting of one node must not decide. */
  readonly topicCountMax: number;
  readonly settings: TopicSettings;
  readonly places: readonly WantedPlace[];
}

export interface DeleteCommand {
  readonly kind: "delete";
  readonly name: string;
  /** 0: whichever has the name. */
  readonly topicId: number;
}

/** A topic's own setting has changed: how many servers shall hold it. */
export interface TargetCommand {
  readonly kind: "target";
  readonly topicId: number;
  /** 0: the default. */
  readonly replicationFactor: number;
}

/** Says where all replicas of a group shall be. For `_cluster` too, which has one on every member. */
export interface PlaceCommand {
  readonly kind: "place";
  readonly topicId: number;
  /** Of the placement that was planned from. */
  readonly placementVersion: number;
  readonly places: readonly WantedPlace[];
}

/** A replica that was leaving belongs to its group no more. */
export interface LeftCommand {
  readonly kind: "left";
  readonly topicId: number;
  /** Of the placement that it leaves by: had it been wanted again since, it would not have left. */
  readonly placementVersion: number;
  readonly replicaId: number;
}

/** A replica is lost: it leaves, and its node gets another one, which plays the same part. */
export interface ReplaceCommand {
  readonly kind: "replace";
  readonly topicId: number;
  /** Of the placement that has it. */
  readonly placementVersion: number;
  readonly replicaId: number;
}

/** A command before it has its entry, and with that the leader's clock. */
export type ProposedCatalogueCommand =
  | FoundCommand
  | AddServerCommand
  | UpdateServerCommand
  | RemoveServerCommand
  | CreateCommand
  | DeleteCommand
  | TargetCommand
  | PlaceCommand
  | LeftCommand
  | ReplaceCommand;

export type CatalogueCommand = ProposedCatalogueCommand & { readonly clockUs: number };

export function encodeCatalogueCommand(command: CatalogueCommand): Uint8Array {
  const writer = new ByteWriter().u8(CATALOGUE_COMMAND_VERSION);
  writer.u8(KINDS[command.kind]).varint(command.clockUs);
  writeRest(writer, command);
  return writer.finish();
}

function writeRest(writer: ByteWriter, command: CatalogueCommand): void {
  switch (command.kind) {
    case "found":
      writeServer(writer.text(command.clusterId), command.server);
      break;
    case "addServer":
      writeServer(writer, command.server);
      break;
    case "updateServer":
      writeUpdate(writer.text(command.nodeId), command);
      break;
    case "removeServer":
      writer.text(command.nodeId).u8(command.force ? 1 : 0);
      break;
    case "create":
      writer.text(command.name).varint(command.topicCountMax);
      writeSettings(writer, command.settings);
      writePlaces(writer, command.places);
      break;
    case "delete":
      writer.text(command.name).varint(command.topicId);
      break;
    case "target":
      writer.varint(command.topicId).varint(command.replicationFactor);
      break;
    case "place":
      writer.varint(command.topicId).varint(command.placementVersion);
      writePlaces(writer, command.places);
      break;
    case "left":
    case "replace":
      writer.varint(command.topicId).varint(command.placementVersion).varint(command.replicaId);
      break;
  }
}

function writeUpdate(writer: ByteWriter, { state, zone }: UpdateServerCommand): void {
  writer.u8((state === undefined ? 0 : FIELD_STATE) | (zone === undefined ? 0 : FIELD_ZONE));
  if (state !== undefined) writeMemberState(writer, state);
  if (zone !== undefined) writer.text(zone);
}

/** @throws MalformedBytesError when the payload is not exactly one known command */
export function decodeCatalogueCommand(payload: Uint8Array): CatalogueCommand {
  const reader = new ByteReader(payload);
  const version = reader.u8();
  if (version !== CATALOGUE_COMMAND_VERSION) {
    throw new MalformedBytesError(`A catalogue command has the unknown version ${version}`);
  }
  const kind = reader.u8();
  const clockUs = reader.varint();
  const command = readRest(kind, reader);
  if (reader.remaining > 0) {
    throw new MalformedBytesError(`A catalogue command has ${reader.remaining} bytes too many`);
  }
  return { ...command, clockUs };
}

function readRest(kind: number, reader: ByteReader): ProposedCatalogueCommand {
  switch (kind) {
    case KINDS.found:
      return { kind: "found", clusterId: reader.text(), server: readServer(reader) };
    case KINDS.addServer:
      return { kind: "addServer", server: readServer(reader) };
    case KINDS.updateServer:
      return readUpdate(reader);
    case KINDS.removeServer:
      return { kind: "removeServer", nodeId: reader.text(), force: readFlag(reader) };
    case KINDS.create: {
      const name = reader.text();
      const topicCountMax = reader.varint();
      const settings = readSettings(reader);
      return { kind: "create", name, topicCountMax, settings, places: readPlaces(reader) };
    }
    case KINDS.delete:
      return { kind: "delete", name: reader.text(), topicId: reader.varint() };
    case KINDS.target:
      return { kind: "target", topicId: reader.varint(), replicationFactor: reader.varint() };
    case KINDS.place: {
      const topicId = reader.varint();
      const placementVersion = reader.varint();
      return { kind: "place", topicId, placementVersion, places: readPlaces(reader) };
    }
    case KINDS.left:
    case KINDS.replace: {
      const topicId = reader.varint();
      const placementVersion = reader.varint();
      const replicaId = reader.varint();
      const of = kind === KINDS.left ? "left" : "replace";
      return { kind: of, topicId, placementVersion, replicaId };
    }
    default:
      throw new MalformedBytesError(`A catalogue command has the unknown kind ${kind}`);
  }
}

function readUpdate(reader: ByteReader): UpdateServerCommand {
  const nodeId = reader.text();
  const fields = reader.u8();
  if (fields > (FIELD_STATE | FIELD_ZONE)) {
    throw new MalformedBytesError(`A change of a server has the unknown fields ${fields}`);
  }
  const state = (fields & FIELD_STATE) === 0 ? undefined : readMemberState(reader);
  const zone = (fields & FIELD_ZONE) === 0 ? undefined : reader.text();
  return { kind: "updateServer", nodeId, state, zone };
}

function readFlag(reader: ByteReader): boolean {
  const value = reader.u8();
  if (value > 1) throw new MalformedBytesError(`${value} is neither true nor false`);
  return value === 1;
}
