import {
  ByteReader,
  ByteWriter,
  MalformedBytesError,
  readVarint,
  type Varint,
  varintSize,
  writeVarint,
} from "../base/bytes.ts";
import { readSettingNames, readSettings, writeSettingNames, writeSettings } from "./settings.ts";
import type { ProducerBatch, TopicSettingName, TopicSettings } from "./topics.ts";

/**
 * What a topic's Raft entries hold. Each begins
 *
 *     [version u8 = 1][kind u8][leader's clock, us since 1970: varint]
 *
 * and goes on by kind:
 *
 *     1 append    [conditions u8: 1 expected next offset, 2 producer, 4 fencing token]
 *                 [expected next offset varint]?
 *                 [id length u8][id][epoch varint][sequence varint]?
 *                 [fencing token varint]?
 *                 [record count varint][length varint] per record [records, one after the other]
 *     2 open      [producer id: length varint, UTF-8]
 *     3 trim      [before offset varint]
 *     4 settings  [changes: see writeSettings][cleared: see writeSettingNames]
 *
 * Every replica must understand every entry in the same way, so decoding is
 * strict: an unknown version, kind or condition, and bytes left over, are errors
 * that stop the group. A new kind is first used when all nodes know it.
 */
export const COMMAND_VERSION = 1;

const KIND_APPEND = 1;
const KIND_OPEN = 2;
const KIND_TRIM = 3;
const KIND_SETTINGS = 4;

const HAS_EXPECTED_OFFSET = 1;
const HAS_PRODUCER = 2;
const HAS_FENCING_TOKEN = 4;
const CONDITIONS_KNOWN = HAS_EXPECTED_OFFSET | HAS_PRODUCER | HAS_FENCING_TOKEN;

const UTF8_ENCODER = new TextEncoder();
const UTF8_DECODER = new TextDecoder("utf-8", { ignoreBOM: true });

export interface AppendCommand {
  readonly kind: "append";
  readonly clockUs: number;
  readonly expectedNextOffset: number | undefined;
  readonly producer: ProducerBatch | undefined;
  readonly fencingToken: number | undefined;
  /** 1 or more. After decoding they are views into the entry. */
  readonly records: readonly Uint8Array[];
}

export interface OpenProducerCommand {
  readonly kind: "open";
  readonly clockUs: number;
  readonly producerId: string;
}

export interface TrimCommand {
  readonly kind: "trim";
  readonly clockUs: number;
  readonly beforeOffset: number;
}

export interface SettingsCommand {
  readonly kind: "settings";
  readonly clockUs: number;
  readonly changes: TopicSettings;
  readonly cleared: readonly TopicSettingName[];
}

export type TopicCommand = AppendCommand | OpenProducerCommand | TrimCommand | SettingsCommand;

/** Encodes a command into one new array. */
export function encodeCommand(command: TopicCommand): Uint8Array {
  switch (command.kind) {
    case "append":
      return encodeAppend(command);
    case "open":
      return head(KIND_OPEN, command.clockUs).text(command.producerId).finish();
    case "trim":
      return head(KIND_TRIM, command.clockUs).varint(command.beforeOffset).finish();
    case "settings": {
      const writer = head(KIND_SETTINGS, command.clockUs);
      writeSettings(writer, command.changes);
      writeSettingNames(writer, command.cleared);
      return writer.finish();
    }
  }
}

/** Decodes an entry's payload. @throws MalformedBytesError when it is not exactly one known command */
export function decodeCommand(payload: Uint8Array): TopicCommand {
  const reader = new ByteReader(payload);
  const version = reader.u8();
  if (version !== COMMAND_VERSION) {
    throw new MalformedBytesError(`A topic command has the unknown version ${version}`);
  }
  const kind = reader.u8();
  const clockUs = reader.varint();
  const command = decodeRest(kind, clockUs, reader, payload);
  if (reader.remaining > 0) {
    throw new MalformedBytesError(`A topic command has ${reader.remaining} bytes too many`);
  }
  return command;
}

function decodeRest(
  kind: number,
  clockUs: number,
  reader: ByteReader,
  payload: Uint8Array,
): TopicCommand {
  switch (kind) {
    case KIND_APPEND:
      return decodeAppend(clockUs, reader, payload);
    case KIND_OPEN:
      return { kind: "open", clockUs, producerId: reader.text() };
    case KIND_TRIM:
      return { kind: "trim", clockUs, beforeOffset: reader.varint() };
    case KIND_SETTINGS: {
      const changes = readSettings(reader);
      return { kind: "settings", clockUs, changes, cleared: readSettingNames(reader) };
    }
    default:
      throw new MalformedBytesError(`A topic command has the unknown kind ${kind}`);
  }
}

function head(kind: number, clockUs: number): ByteWriter {
  return new ByteWriter().u8(COMMAND_VERSION).u8(kind).varint(clockUs);
}

/** One allocation and one copy of the records: this is on the way of every batch. */
function encodeAppend(command: AppendCommand): Uint8Array {
  const { producer, records } = command;
  const writer = head(KIND_APPEND, command.clockUs).u8(conditionsOf(command));
  if (command.expectedNextOffset !== undefined) writer.varint(command.expectedNextOffset);
  if (producer !== undefined) {
    const id = UTF8_ENCODER.encode(producer.id);
    writer.u8(id.length).raw(id).varint(producer.epoch).varint(producer.sequence);
  }
  if (command.fencingToken !== undefined) writer.varint(command.fencingToken);
  const start = writer.varint(records.length).finish();
  let size = start.length;
  for (const record of records) size += varintSize(record.length) + record.length;
  const result = new Uint8Array(size);
  result.set(start);
  let at = start.length;
  for (const record of records) at = writeVarint(result, at, record.length);
  for (const record of records) {
    result.set(record, at);
    at += record.length;
  }
  return result;
}

function conditionsOf(command: AppendCommand): number {
  return (
    (command.expectedNextOffset === undefined ? 0 : HAS_EXPECTED_OFFSET) |
    (command.producer === undefined ? 0 : HAS_PRODUCER) |
    (command.fencingToken === undefined ? 0 : HAS_FENCING_TOKEN)
  );
}

function decodeAppend(clockUs: number, reader: ByteReader, payload: Uint8Array): AppendCommand {
  const conditions = reader.u8();
  if ((conditions & ~CONDITIONS_KNOWN) !== 0) {
    throw new MalformedBytesError(`An append has the unknown conditions ${conditions}`);
  }
  const expectedNextOffset = conditions & HAS_EXPECTED_OFFSET ? reader.varint() : undefined;
  const producer = conditions & HAS_PRODUCER ? readProducer(reader) : undefined;
  const fencingToken = conditions & HAS_FENCING_TOKEN ? reader.varint() : undefined;
  const count = reader.varint();
  if (count === 0) throw new MalformedBytesError("An append has no records");
  const records = readRecords(payload, reader.at, count);
  reader.raw(reader.remaining);
  return { kind: "append", clockUs, expectedNextOffset, producer, fencingToken, records };
}

function readProducer(reader: ByteReader): ProducerBatch {
  const id = UTF8_DECODER.decode(reader.raw(reader.u8()));
  return { id, epoch: reader.varint(), sequence: reader.varint() };
}

/** The lengths, then the records: exactly to the end of `payload`. */
function readRecords(payload: Uint8Array, start: number, count: number): Uint8Array[] {
  if (count > payload.length) throw new MalformedBytesError(`An append names ${count} records`);
  const length: Varint = { value: 0, next: start };
  const lengths: number[] = [];
  for (let number = 0; number < count; number += 1) {
    readVarint(payload, length.next, length);
    if (length.next < 0) throw new MalformedBytesError("An append ends within its lengths");
    lengths.push(length.value);
  }
  const records: Uint8Array[] = [];
  let at = length.next;
  for (const bytes of lengths) {
    records.push(payload.subarray(at, at + bytes));
    at += bytes;
  }
  if (at !== payload.length) {
    throw new MalformedBytesError(`An append has ${payload.length} bytes, its records need ${at}`);
  }
  return records;
}
