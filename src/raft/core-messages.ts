import { assert } from "../base/assert.ts";
import { EMPTY_BYTES, readU32, viewOf, writeU32, writeU64 } from "../base/bytes.ts";
import type { CoreEntry, CoreMessage, CoreSnapshot } from "./core.ts";
import { CoreMessageType } from "./core.ts";
import { CoreReader, CoreWriter, ENTRY_HEAD_BYTES } from "./core-codec.ts";
import { CORE_MESSAGE_BYTES_MAX, CORE_MESSAGE_ENTRIES_MAX } from "./core-limits.ts";

/*
 * Messages between cores, as `wasm/writer.go` writes them and `wasm/reader.go` reads them. They go
 * over the network between nodes as they are; the version of nodes' greeting covers this layout.
 * All numbers are little-endian; u64 hold safe integers.
 *
 *    0  u8   type (raftpb.MessageType)
 *    1  u8   flags: 1 reject, 2 has a snapshot, 4 has a context
 *    2  u64  to, a replica
 *   10  u64  from, a replica
 *   18  u64  term; 0 only in a forwarded read request
 *   26  u64  log term: of the entry at the index; in a rejection, of the hint
 *   34  u64  index: before the entries; of what is acknowledged; of a candidate's last entry
 *   42  u64  commit
 *   50  u64  reject hint
 *   58  u32  count of entries, then of each:
 *              u64 term, u8 type, u32 length, data; the first one has the index above plus 1
 *       with a context:  u32 length, bytes
 *       with a snapshot: u64 index, u64 term, conf state (core-codec.ts), u32 length, data
 */
const FLAGS_AT = 1;
const TO_AT = 2;
const FROM_AT = 10;
const TERM_AT = 18;
const LOG_TERM_AT = 26;
const INDEX_AT = 34;
const COMMIT_AT = 42;
const ENTRIES_AT = 58;
const HEAD_BYTES = ENTRIES_AT + 4;

const FLAG_REJECT = 1;
const FLAG_SNAPSHOT = 2;
const FLAG_CONTEXT = 4;
const FLAGS_KNOWN = FLAG_REJECT | FLAG_SNAPSHOT | FLAG_CONTEXT;

/** Of an entry: the length stands after the term and the type. */
const ENTRY_TYPE_AT = 8;
const ENTRY_SIZE_AT = 9;

/**
 * True when the bytes have the shape of a message, with nothing missing and nothing left over. For
 * what the network brought, before anything else here looks into it. Whether it makes sense is
 * found out by `step`.
 */
export function isCoreMessage(bytes: Uint8Array): boolean {
  if (bytes.length < HEAD_BYTES || bytes.length > CORE_MESSAGE_BYTES_MAX) return false;
  const flags = bytes[FLAGS_AT] ?? 0;
  if ((flags & ~FLAGS_KNOWN) !== 0) return false;
  for (let at = TO_AT; at < ENTRIES_AT; at += 8) {
    if (!Number.isSafeInteger(u64(bytes, at))) return false;
  }
  if (messageEntryCount(bytes) > CORE_MESSAGE_ENTRIES_MAX) return false;
  try {
    const reader = new CoreReader(bytes, ENTRIES_AT);
    for (let left = reader.u32(); left > 0; left -= 1) {
      reader.u64();
      reader.u8();
      reader.data();
    }
    if ((flags & FLAG_CONTEXT) !== 0) reader.data();
    if ((flags & FLAG_SNAPSHOT) !== 0) reader.snapshot();
    return reader.at === bytes.length;
  } catch {
    return false;
  }
}

export function messageType(message: CoreMessage): number {
  return message[0] ?? 0;
}

/** The replica that it is for. */
export function messageTo(message: CoreMessage): number {
  return u64(message, TO_AT);
}

/** The replica that wrote it; of a forwarded read request, the one that reads. */
export function messageFrom(message: CoreMessage): number {
  return u64(message, FROM_AT);
}

export function messageTerm(message: CoreMessage): number {
  return u64(message, TERM_AT);
}

/** Term of the entry at {@link messageIndex}. */
export function messageLogTerm(message: CoreMessage): number {
  return u64(message, LOG_TERM_AT);
}

/** Of an append message: of the entry before its first one. */
export function messageIndex(message: CoreMessage): number {
  return u64(message, INDEX_AT);
}

export function messageCommit(message: CoreMessage): number {
  return u64(message, COMMIT_AT);
}

export function messageIsReject(message: CoreMessage): boolean {
  return ((message[FLAGS_AT] ?? 0) & FLAG_REJECT) !== 0;
}

export function messageEntryCount(message: CoreMessage): number {
  return readU32(message, ENTRIES_AT);
}

/** Data are views of the message. Of an append message; the index of others' entries means nothing. */
export function messageEntries(message: CoreMessage): readonly CoreEntry[] {
  const first = messageIndex(message) + 1;
  const entries: CoreEntry[] = [];
  let at = HEAD_BYTES;
  for (let left = messageEntryCount(message); left > 0; left -= 1) {
    const start = at + ENTRY_HEAD_BYTES;
    const end = start + readU32(message, at + ENTRY_SIZE_AT);
    entries.push({
      term: u64(message, at),
      index: first + entries.length,
      type: message[at + ENTRY_TYPE_AT] ?? 0,
      data: message.subarray(start, end),
    });
    at = end;
  }
  return entries;
}

/** Of a heartbeat and its response: what confirms read requests; 8 bytes, or none. A view. */
export function messageContext(message: CoreMessage): Uint8Array {
  if (((message[FLAGS_AT] ?? 0) & FLAG_CONTEXT) === 0) return EMPTY_BYTES;
  return new CoreReader(message, entriesEnd(message)).data();
}

/** Its data are a view. */
export function messageSnapshot(message: CoreMessage): CoreSnapshot | undefined {
  const flags = message[FLAGS_AT] ?? 0;
  if ((flags & FLAG_SNAPSHOT) === 0) return undefined;
  const reader = new CoreReader(message, entriesEnd(message));
  if ((flags & FLAG_CONTEXT) !== 0) reader.data();
  return reader.snapshot();
}

/** What is in a heartbeat or in its response. Groups' heartbeats to one node travel together. */
export interface CoreHeartbeat {
  readonly type: typeof CoreMessageType.heartbeat | typeof CoreMessageType.heartbeatResponse;
  readonly to: number;
  readonly from: number;
  readonly term: number;
  /** 0 in a response. */
  readonly commit: number;
  /** See {@link messageContext}. */
  readonly context: Uint8Array;
}

/** @returns undefined when it is another message */
export function readHeartbeat(message: CoreMessage): CoreHeartbeat | undefined {
  const type = messageType(message);
  const { heartbeat, heartbeatResponse } = CoreMessageType;
  if (type !== heartbeat && type !== heartbeatResponse) return undefined;
  return {
    type,
    to: messageTo(message),
    from: messageFrom(message),
    term: messageTerm(message),
    commit: messageCommit(message),
    context: messageContext(message),
  };
}

/** The message that {@link readHeartbeat} read, byte for byte. */
export function writeHeartbeat(heartbeat: CoreHeartbeat): CoreMessage {
  const { type, to, from, term, commit, context } = heartbeat;
  const writer = new CoreWriter(HEAD_BYTES + 4 + context.length);
  writer.u8(type).u8(context.length === 0 ? 0 : FLAG_CONTEXT);
  writer.u64(to).u64(from).u64(term).u64(0).u64(0).u64(commit).u64(0).u32(0);
  return context.length === 0 ? writer.bytes : writer.sized(context).bytes;
}

/**
 * Cuts an append message into several, so that what belongs to the entries of each is at most
 * `bytesMax` bytes, or one entry. The receiver takes them in order as if the leader had sent them so;
 * its core counted one message in flight, which the last acknowledgement frees.
 *
 * @param sizes bytes that belong to each entry, in order
 * @returns the message itself when it needs no cut
 */
export function splitAppend(
  message: CoreMessage,
  sizes: readonly number[],
  bytesMax: number,
): readonly CoreMessage[] {
  const count = messageEntryCount(message);
  assert(messageType(message) === CoreMessageType.append, "Only append messages can be split");
  assert(sizes.length === count, `${sizes.length} sizes for ${count} entries`);
  const parts: CoreMessage[] = [];
  let head = { at: HEAD_BYTES, done: 0, logTerm: messageLogTerm(message) };
  let { at, logTerm } = head;
  let bytes = 0;
  for (let index = 0; index < count; index += 1) {
    const size = sizes[index] ?? 0;
    if (index > head.done && bytes + size > bytesMax) {
      parts.push(part(message, head, index, at));
      head = { at, done: index, logTerm };
      bytes = 0;
    }
    bytes += size;
    logTerm = u64(message, at);
    at += ENTRY_HEAD_BYTES + readU32(message, at + ENTRY_SIZE_AT);
  }
  if (head.done === 0) return [message];
  parts.push(part(message, head, count, at));
  return parts;
}

/** The message with the entries from `head.done` to `until`, whose bytes are from `head.at` to `end`. */
function part(
  message: CoreMessage,
  head: { readonly at: number; readonly done: number; readonly logTerm: number },
  until: number,
  end: number,
): CoreMessage {
  const bytes = new Uint8Array(HEAD_BYTES + end - head.at);
  bytes.set(message.subarray(0, HEAD_BYTES));
  bytes.set(message.subarray(head.at, end), HEAD_BYTES);
  const view = viewOf(bytes);
  writeU64(view, LOG_TERM_AT, head.logTerm);
  writeU64(view, INDEX_AT, messageIndex(message) + head.done);
  writeU32(bytes, ENTRIES_AT, until - head.done);
  return bytes;
}

function entriesEnd(message: CoreMessage): number {
  let at = HEAD_BYTES;
  for (let left = messageEntryCount(message); left > 0; left -= 1) {
    at += ENTRY_HEAD_BYTES + readU32(message, at + ENTRY_SIZE_AT);
  }
  return at;
}

function u64(bytes: Uint8Array, at: number): number {
  return readU32(bytes, at) + readU32(bytes, at + 4) * 2 ** 32;
}
