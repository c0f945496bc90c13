import assert from "node:assert/strict";
import { parseJournalFileName } from "../../src/journal/file-names.ts";
import {
  BLOCK_BYTES,
  decodeFileHead,
  decodeFlushHeader,
  FIRST_FLUSH,
  flushBytes,
  HEADER_BYTES,
} from "../../src/journal/flush.ts";
import { makeRandom } from "../support/prng.ts";
import { SimFileSystem } from "../support/sim-file-system.ts";

/** Files of a disk by path, to be changed and opened again. */
export type DiskImage = Map<string, Uint8Array>;

/** A flush as it lies in a file. */
export interface FlushPlace {
  readonly path: string;
  readonly number: number;
  readonly position: number;
  /** Where its frames end; then comes padding. */
  readonly framesEnd: number;
  readonly end: number;
}

/** Valid headers in the order of their numbers. */
export function flushesOf(image: DiskImage): FlushPlace[] {
  const found: FlushPlace[] = [];
  for (const [path, bytes] of image) {
    if (parseJournalFileName(path.replace("journal/", ""))?.kind !== "wal") continue;
    const head = decodeFileHead(bytes);
    assert.ok(typeof head === "object", `${path} has no head`);
    for (let position = FIRST_FLUSH; position < bytes.length; position += BLOCK_BYTES) {
      const header = decodeFlushHeader(bytes.subarray(position, position + HEADER_BYTES), head);
      if (typeof header !== "object") continue;
      const framesEnd = position + HEADER_BYTES + header.frameBytes;
      const end = position + flushBytes(header.frameBytes);
      found.push({ path, number: header.number, position, framesEnd, end });
    }
  }
  return found.sort((left, right) => left.number - right.number);
}

/** A copy in which that file is what `change` makes of it. */
export function changed(
  image: DiskImage,
  path: string,
  change: (bytes: Uint8Array) => Uint8Array | undefined,
): DiskImage {
  const result = new Map(image);
  const bytes = image.get(path);
  assert.ok(bytes !== undefined, `there is no ${path}`);
  const made = change(bytes.slice());
  if (made === undefined) result.delete(path);
  else result.set(path, made);
  return result;
}

export function flipBit(bytes: Uint8Array, at: number, bit: number): Uint8Array {
  bytes[at] = (bytes[at] ?? 0) ^ (1 << (bit & 7));
  return bytes;
}

export function diskOf(image: DiskImage, seed = 1): SimFileSystem {
  return SimFileSystem.fromDump(makeRandom(seed), image);
}

/** By path, in a form that is cheap to compare. */
export function fingerprint(image: DiskImage): string {
  return [...image]
    .map(([path, bytes]) => `${path} ${Buffer.from(bytes).toString("base64")}`)
    .join();
}
