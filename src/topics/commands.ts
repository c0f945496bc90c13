import {
  ByteReader,
  ByteWriter,
  MalformedBytesError,
  readVarint,
  type Varint,
} from "../base/bytes.ts";
import type { RecordSpans } from "../base/record-spans.ts";
import {
  type AppendBatch,
  type AppendCommand,
  BatchReader,
  encodeBatches,
} from "./append-codec.ts";
import { readSettingNames, readSettings, writeSettingNames, writeSettings } from "./settings.ts";
import type { TopicSettingName, TopicSettings } from "./topics.ts";

/**
 * What a topic's Raft entries hold. Each begins
 *
 *     [version u8 = 1][kind u8][leader's clock, us since 1970: varint]
 *
 * and goes on by kind:
 *
 *     1 append    [batch]
 *     2 open      [producer id: length varint, UTF-8]
 *     3 trim      [before offset varint]
 *     4 settings  [changes: see writeSettings][cleared: see writeSettingNames]
 *     5 appends   [batch count varint, 2 or more][record count of all varint][batch] per batch
 *
 *     batch       [conditions u8: 1 expected next offset, 2 producer, 4 fencing token]
 *                 [expected next offset varint]?
 *                 [id length u8][id][epoch varint][sequence varint]?
 *                 [fencing token varint]?
 *                 [record count varint][length varint] per record [records, one after the other]
 *
 * Kind 5 is several commands of kind 1 that came while an entry was being journalled: each is
 * judged by itself, one after the other, as if it had an entry of its own.
 *
 * Every replica must understand every entry in the same way, so decoding is
 * strict: an unknown version, kind or condition, and bytes left over, are errors
 * that stop the group. A new kind is first used when all nodes know it.
 */
const COMMAND_VERSION = 1;

const KIND_APPEND = 1;
const KIND_OPEN = 2;
const KIND_TRIM = 3;
const KIND_SETTINGS = 4;
const KIND_APPENDS = 5;

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

/** A batch as its caller hands it over. */
export interface ProposedAppend extends AppendBatch {
  readonly kind: "append";
}

/** A command before it has its entry, and with that the leader's clock. */
export type ProposedCommand =
  | ProposedAppend
  | Omit<OpenProducerCommand, "clockUs">
  | Omit<TrimCommand, "clockUs">
  | Omit<SettingsCommand, "clockUs">;

/** What an entry says. */
export interface DecodedEntry {
  /** One; or several appends. */
  readonly commands: readonly TopicCommand[];
  /** Records of all appends, in order: places in the entry, not copies. */
  readonly records: RecordSpans;
}

/**
 * Encodes one command, or several appends, into one new array: an entry's payload.
 * @param commands one at least
 */
export function encodeEntry(commands: readonly ProposedCommand[], clockUs: number): Uint8Array {
  const [first] = commands;
  switch (first?.kind) {
    case "open":
      return head(KIND_OPEN, clockUs).text(first.producerId).finish();
    case "trim":
      return head(KIND_TRIM, clockUs).varint(first.beforeOffset).finish();
    case "settings": {
      const writer = head(KIND_SETTINGS, clockUs);
      writeSettings(writer, first.changes);
      writeSettingNames(writer, first.cleared);
      return writer.finish();
    }
    default:
      return encodeAppends(commands.filter(isAppend), clockUs);
  }
}

/** True for commands that may stand in one entry. */
export function isAppend(command: ProposedCommand): command is ProposedAppend {
  return command.kind === "append";
}

function encodeAppends(batches: readonly ProposedAppend[], clockUs: number): Uint8Array {
  if (batches.length === 1) return encodeBatches([COMMAND_VERSION, KIND_APPEND, clockUs], batches);
  let recordCount = 0;
  for (const { records } of batches) recordCount += records.count;
  return encodeBatches(
    [COMMAND_VERSION, KIND_APPENDS, clockUs, batches.length, recordCount],
    batches,
  );
}

/** Decodes an entry's payload. @throws MalformedBytesError when it is not exactly what is known */
export function decodeEntry(payload: Uint8Array): DecodedEntry {
  return decodeIfAppends(payload) ?? decodeOther(payload);
}

/** Used again and again: nothing here waits. */
const varint: Varint = { value: 0, next: -1 };

/** Of nearly every entry, so without a reader. Undefined when it is another command, or damaged. */
function decodeIfAppends(payload: Uint8Array): DecodedEntry | undefined {
  const kind = payload[1];
  if (payload[0] !== COMMAND_VERSION || (kind !== KIND_APPEND && kind !== KIND_APPENDS)) {
    return undefined;
  }
  readVarint(payload, 2, varint);
  if (varint.next < 0) return undefined;
  const { value: clockUs, next } = varint;
  if (kind === KIND_APPENDS) return decodeAppends(clockUs, payload, next);
  const batches = new BatchReader(payload, next);
  const commands = [batches.read(clockUs)];
  refuseRest(payload.length - batches.at);
  return { commands, records: batches.records };
}

function decodeOther(payload: Uint8Array): DecodedEntry {
  const reader = new ByteReader(payload);
  const version = reader.u8();
  if (version !== COMMAND_VERSION) {
    throw new MalformedBytesError(`A topic command has the unknown version ${version}`);
  }
  const kind = reader.u8();
  const clockUs = reader.varint();
  const command = decodeRest(kind, clockUs, reader);
  refuseRest(reader.remaining);
  return { commands: [command], records: new BatchReader(payload, reader.at).records };
}

function decodeAppends(clockUs: number, payload: Uint8Array, at: number): DecodedEntry {
  const batches = new BatchReader(payload, at);
  const count = batches.number();
  const recordCount = batches.number();
  if (count < 2 || count > recordCount) {
    throw new MalformedBytesError(`An entry has ${count} appends of ${recordCount} records`);
  }
  batches.expect(recordCount);
  const commands: AppendCommand[] = [];
  for (let left = count; left > 0; left -= 1) commands.push(batches.read(clockUs));
  const { records } = batches;
  if (records.count !== recordCount) {
    throw new MalformedBytesError(`Appends have ${records.count} records, wanted ${recordCount}`);
  }
  refuseRest(payload.length - batches.at);
  return { commands, records };
}

function decodeRest(kind: number, clockUs: number, reader: ByteReader): TopicCommand {
  switch (kind) {
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

function refuseRest(bytes: number): void {
  if (bytes > 0) throw new MalformedBytesError(`A topic command has ${bytes} bytes too many`);
}

function head(kind: number, clockUs: number): ByteWriter {
  return new ByteWriter().u8(COMMAND_VERSION).u8(kind).varint(clockUs);
}
