import { concat } from "../base/bytes.ts";

/** Most parts of one gathered write: IOV_MAX of Linux and macOS. */
export const WRITE_PARTS_MAX = 1024;

/**
 * The same bytes without empty parts and in at most {@link WRITE_PARTS_MAX} parts: neighbours are
 * joined when they are too many. One call then writes them all, and syncs once where writes are synced.
 */
export function gather(parts: readonly Uint8Array[]): readonly Uint8Array[] {
  const filled = parts.filter((part) => part.length > 0);
  if (filled.length <= WRITE_PARTS_MAX) return filled;
  const groupSize = Math.ceil(filled.length / WRITE_PARTS_MAX);
  const groups: Uint8Array[] = [];
  for (let at = 0; at < filled.length; at += groupSize) {
    groups.push(concat(filled.slice(at, at + groupSize)));
  }
  return groups;
}

/** What is left of `parts` after `count` bytes of them were written. */
export function skipBytes(parts: readonly Uint8Array[], count: number): readonly Uint8Array[] {
  let skip = count;
  for (const [at, part] of parts.entries()) {
    if (skip < part.length) return [part.subarray(skip), ...parts.slice(at + 1)];
    skip -= part.length;
  }
  return [];
}
