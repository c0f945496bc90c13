import { ByteReader, ByteWriter, MalformedBytesError } from "../base/bytes.ts";
import { readSettings, writeSettings } from "./settings.ts";
import type { TopicSettings } from "./topics.ts";

/**
 * What the Raft entries of `_cluster` hold. Each begins
 *
 *     [version u8 = 1][kind u8][leader's clock, us since 1970: varint]
 *
 * and goes on by kind:
 *
 *     1 create   [name: length varint, UTF-8][most topics varint][settings: see writeSettings]
 *     2 delete   [name][topic id varint; 0: whichever has the name]
 *     3 removed  [topic id varint]
 *
 * Decoding is as strict as that of topic commands, for the same reason.
 */
const CATALOGUE_COMMAND_VERSION = 1;

const KIND_CREATE = 1;
const KIND_DELETE = 2;
const KIND_REMOVED = 3;

export interface CreateCommand {
  readonly kind: "create";
  readonly clockUs: number;
  readonly name: string;
  /** The leader's limit: it travels, since a setting of one node must not decide. */
  readonly topicCountMax: number;
  readonly settings: TopicSettings;
}

export interface DeleteCommand {
  readonly kind: "delete";
  readonly clockUs: number;
  readonly name: string;
  /** 0: whichever has the name. */
  readonly topicId: number;
}

/** Nothing of a deleted topic is left on disk, so that it can be forgotten. */
export interface RemovedCommand {
  readonly kind: "removed";
  readonly clockUs: number;
  readonly topicId: number;
}

export type CatalogueCommand = CreateCommand | DeleteCommand | RemovedCommand;

/** A command before it has its entry, and with that the leader's clock. */
export type ProposedCatalogueCommand =
  | Omit<CreateCommand, "clockUs">
  | Omit<DeleteCommand, "clockUs">
  | Omit<RemovedCommand, "clockUs">;

export function encodeCatalogueCommand(command: CatalogueCommand): Uint8Array {
  const writer = new ByteWriter().u8(CATALOGUE_COMMAND_VERSION);
  switch (command.kind) {
    case "create":
      writer.u8(KIND_CREATE).varint(command.clockUs).text(command.name);
      writer.varint(command.topicCountMax);
      writeSettings(writer, command.settings);
      break;
    case "delete":
      writer.u8(KIND_DELETE).varint(command.clockUs).text(command.name).varint(command.topicId);
      break;
    case "removed":
      writer.u8(KIND_REMOVED).varint(command.clockUs).varint(command.topicId);
      break;
  }
  return writer.finish();
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
  const command = decodeRest(kind, clockUs, reader);
  if (reader.remaining > 0) {
    throw new MalformedBytesError(`A catalogue command has ${reader.remaining} bytes too many`);
  }
  return command;
}

function decodeRest(kind: number, clockUs: number, reader: ByteReader): CatalogueCommand {
  switch (kind) {
    case KIND_CREATE: {
      const name = reader.text();
      const topicCountMax = reader.varint();
      return { kind: "create", clockUs, name, topicCountMax, settings: readSettings(reader) };
    }
    case KIND_DELETE:
      return { kind: "delete", clockUs, name: reader.text(), topicId: reader.varint() };
    case KIND_REMOVED:
      return { kind: "removed", clockUs, topicId: reader.varint() };
    default:
      throw new MalformedBytesError(`A catalogue command has the unknown kind ${kind}`);
  }
}
