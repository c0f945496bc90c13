import { assert } from "../../src/base/assert.ts";
import { concat, viewOf } from "../../src/base/bytes.ts";
import {
  decodeFlushHeader,
  encodeFlushHeader,
  type FlushHeader,
  flushBytes,
  HEADER_BYTES,
  saltMask,
} from "../../src/journal/flush.ts";
import { FrameBuffer } from "../../src/journal/frame-buffer.ts";
import { checkFrames, FrameType } from "../../src/journal/frames.ts";
import type { NewEntry, ReplicaRecord } from "../../src/journal/journal-types.ts";

/** `key=value` pairs of a line, without its first word. Numbers only, but for `payload`. */
export type Fields = Readonly<Record<string, string>>;

export function fieldsOf(line: string): Fields {
  return Object.fromEntries(
    [...line.matchAll(/(\S+?)=(\S*)/g)].map(([, key, value]) => [key, value]),
  );
}

function numberOf(fields: Fields, key: string): number {
  const value = Number(fields[key]);
  assert(Number.isFinite(value), `There is no number ${key}`);
  return value;
}

/** Adds the frame that a line of a golden file describes. */
function addFrame(frames: FrameBuffer, line: string): void {
  const [word = ""] = line.split(" ");
  const fields = fieldsOf(line);
  const n = (key: string) => numberOf(fields, key);
  const add: Readonly<Record<string, () => void>> = {
    entry: () => frames.addEntry(n("replica"), entryOf(fields)),
    copied: () => frames.addEntry(n("replica"), entryOf(fields), FrameType.copiedEntry),
    hard: () =>
      frames.addHardState(n("replica"), { term: n("term"), vote: n("vote"), commit: n("commit") }),
    mark: () => frames.addSnapshot(FrameType.snapshotMark, n("replica"), snapshotOf(fields)),
    installed: () =>
      frames.addSnapshot(FrameType.snapshotInstalled, n("replica"), snapshotOf(fields)),
    added: () => frames.addReplica(FrameType.replicaAdded, recordOf(fields)),
    listed: () => frames.addReplica(FrameType.replicaListed, recordOf(fields)),
    removed: () => frames.addMark(FrameType.replicaRemoved, n("replica")),
    close: () => frames.addMark(FrameType.closeMark, 0),
  };
  const adds = add[word];
  assert(adds !== undefined, `Unknown frame "${word}"`);
  adds();
}

function snapshotOf(fields: Fields) {
  return { index: numberOf(fields, "index"), term: numberOf(fields, "term") };
}

function entryOf(fields: Fields): NewEntry {
  return {
    index: numberOf(fields, "index"),
    term: numberOf(fields, "term"),
    kind: numberOf(fields, "kind"),
    payload: (fields["payload"] ?? "").split("+").map((part) => new TextEncoder().encode(part)),
  };
}

function recordOf(fields: Fields): ReplicaRecord {
  return {
    replicaId: numberOf(fields, "replica"),
    topicId: numberOf(fields, "topic"),
    term: numberOf(fields, "term"),
    vote: numberOf(fields, "vote"),
    commit: numberOf(fields, "commit"),
    snapshotIndex: numberOf(fields, "snapshotIndex"),
    snapshotTerm: numberOf(fields, "snapshotTerm"),
  };
}

/** A whole flush as it stands in a file. */
export function makeFlush(
  header: Omit<FlushHeader, "frameBytes" | "frameCount" | "framesCrc">,
  lines: readonly string[],
): Uint8Array {
  const frames = new FrameBuffer();
  for (const line of lines) addFrame(frames, line);
  const { frameBytes, frameCount } = frames;
  const framesCrc = (frames.seal(header.salt, 0) ^ saltMask(header.salt)) >>> 0;
  encodeFlushHeader(frames.header, { ...header, frameBytes, frameCount, framesCrc });
  const parts: Uint8Array[] = [];
  frames.collect(parts, 0, flushBytes(frameBytes) - HEADER_BYTES - frameBytes);
  return concat(parts);
}

/** What a reader makes of a flush's bytes. */
export function readFlush(bytes: Uint8Array, file: { sequence: number; salt?: number }): string {
  const header = decodeFlushHeader(bytes, file);
  if (typeof header === "string") return header;
  const frames = bytes.subarray(HEADER_BYTES, HEADER_BYTES + header.frameBytes);
  return checkFrames(frames, header);
}

/** Hexadecimal, 16 bytes a line with their position; runs of zero lines are left out. */
export function dump(bytes: Uint8Array): string {
  const lines: string[] = [];
  const view = viewOf(bytes);
  for (let at = 0; at < bytes.length; at += 16) {
    const row = [];
    for (let next = at; next < Math.min(at + 16, bytes.length); next += 1) {
      row.push(view.getUint8(next).toString(16).padStart(2, "0"));
    }
    if (row.some((byte) => byte !== "00")) lines.push(`${`${at}`.padStart(4)}: ${row.join(" ")}`);
    else if (lines.at(-1) !== "   *") lines.push("   *");
  }
  return lines.join("\n");
}
