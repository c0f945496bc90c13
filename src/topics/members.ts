import { type ByteReader, type ByteWriter, MalformedBytesError } from "../base/bytes.ts";

/** Highest feature level that this program knows: which commands every node can be sent. */
export const FEATURE_LEVEL = 1;

/*
 * Limits are part of the state machine: they decide what is refused, so every node must have the same.
 * Another value needs another version of the commands.
 */

/** Members of a cluster at one time. */
export const MEMBER_COUNT_MAX = 1_000;
/** Members, and removed ones that are remembered so that their ids never come back. */
export const KNOWN_SERVER_COUNT_MAX = 100_000;

/** What is wanted of a member. One that drains gets no replicas, and loses those that it has. */
export type MemberState = "active" | "draining";

/** What a server says of itself. */
export interface ServerInfo {
  /** 1 to 64 characters of `[a-zA-Z0-9._-]`. */
  readonly nodeId: string;
  /** Where others reach it, `host:port`; at most 300 characters. Empty: not known yet. */
  readonly address: string;
  /** Rack or zone: at most 64 characters of `[a-zA-Z0-9._-]`. Empty: none. */
  readonly zone: string;
  /** Of its program; at most 64 characters. */
  readonly version: string;
  /** Highest that it knows: below 2^32. */
  readonly featureLevel: number;
  /** Made with its data folder, at most 64 hex digits: tells it from another server with its id. */
  readonly folderNonce: string;
}

export interface Member extends ServerInfo {
  readonly state: MemberState;
  /** Raft id of its replica of `_cluster`. */
  readonly clusterReplicaId: number;
}

const TEXT_RULES = {
  nodeId: /^[a-zA-Z0-9._-]{1,64}$/,
  address: /^[\x21-\x7e]{0,300}$/,
  zone: /^[a-zA-Z0-9._-]{0,64}$/,
  version: /^[\x21-\x7e]{0,64}$/,
  folderNonce: /^[0-9a-f]{0,64}$/,
} as const satisfies Partial<Record<keyof ServerInfo, RegExp>>;

const TEXTS = Object.keys(TEXT_RULES) as readonly (keyof typeof TEXT_RULES)[];
const FEATURE_LEVEL_END = 2 ** 32;

/** Name of the first field that breaks its rule; undefined when all is well. */
export function brokenField(server: ServerInfo): keyof ServerInfo | undefined {
  const broken = TEXTS.find((name) => !TEXT_RULES[name].test(server[name]));
  return broken ?? (server.featureLevel < FEATURE_LEVEL_END ? undefined : "featureLevel");
}

export function isClusterId(text: string): boolean {
  return TEXT_RULES.nodeId.test(text);
}

export function isZone(text: string): boolean {
  return TEXT_RULES.zone.test(text);
}

/** Bytes: `[node id][address][zone][version]`, texts, `[feature level varint][folder nonce]`. */
export function writeServer(writer: ByteWriter, server: ServerInfo): void {
  writer.text(server.nodeId).text(server.address).text(server.zone).text(server.version);
  writer.varint(server.featureLevel).text(server.folderNonce);
}

export function readServer(reader: ByteReader): ServerInfo {
  const nodeId = reader.text();
  const address = reader.text();
  const zone = reader.text();
  const version = reader.text();
  return {
    nodeId,
    address,
    zone,
    version,
    featureLevel: reader.varint(),
    folderNonce: reader.text(),
  };
}

const STATE_TAGS: Readonly<Record<MemberState, number>> = { active: 1, draining: 2 };

export function writeMemberState(writer: ByteWriter, state: MemberState): void {
  writer.u8(STATE_TAGS[state]);
}

export function readMemberState(reader: ByteReader): MemberState {
  const tag = reader.u8();
  if (tag === STATE_TAGS.active) return "active";
  if (tag === STATE_TAGS.draining) return "draining";
  throw new MalformedBytesError(`No state of a member has the tag ${tag}`);
}
