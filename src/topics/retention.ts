/** A segment as retention sees it. */
export interface RetainedSegment {
  readonly base: number;
  readonly nextOffset: number;
  /** Store and index. */
  readonly diskBytes: number;
  /** The newest segment takes the appends, and stays. */
  readonly isOpen: boolean;
}

export interface RetentionLimits {
  /** Milliseconds; 0: never by age. */
  readonly retentionAgeMs: number;
  /** 0: never by size. */
  readonly retentionBytes: number;
}

export interface RetentionInput extends RetentionLimits {
  /** Oldest first. */
  readonly segments: readonly RetainedSegment[];
  readonly startOffset: number;
  readonly nextOffset: number;
  /** Append time of the topic's last record. */
  readonly lastAppendTimeUs: number | undefined;
  /** The leader's clock. */
  readonly nowUs: number;
}

/**
 * The offset that the topic may be trimmed to because it is too large: its oldest
 * closed segments go until the rest is at most `retentionBytes`, or only the open
 * one is left. `startOffset` when nothing may go.
 */
export function trimBySize(input: RetentionInput): number {
  const { startOffset, retentionBytes } = input;
  if (retentionBytes === 0) return startOffset;
  const kept = input.segments.filter((segment) => isKept(segment, startOffset));
  let diskBytes = 0;
  for (const segment of kept) diskBytes += segment.diskBytes;
  let trim = startOffset;
  for (const segment of kept) {
    if (segment.isOpen || diskBytes <= retentionBytes) break;
    diskBytes -= segment.diskBytes;
    trim = segment.nextOffset;
  }
  return trim;
}

/**
 * The offset that the topic may be trimmed to because its records are too old:
 * closed segments whose last record was appended more than `retentionAgeMs` ago,
 * oldest first; everything when that is true of the topic's last record. Only append times count,
 * never the client's. `startOffset` when nothing may go.
 *
 * @param lastAppendTimeOf append time of a closed segment's last record; asked from the
 *   oldest segment on, no further than the first one that stays
 */
export async function trimByAge(
  input: RetentionInput,
  lastAppendTimeOf: (segment: RetainedSegment) => Promise<number>,
): Promise<number> {
  const { startOffset, nextOffset, retentionAgeMs, lastAppendTimeUs } = input;
  if (retentionAgeMs === 0 || lastAppendTimeUs === undefined) return startOffset;
  const oldestUs = input.nowUs - retentionAgeMs * 1000;
  if (lastAppendTimeUs < oldestUs) return nextOffset;
  let trim = startOffset;
  for (const segment of input.segments) {
    if (!isKept(segment, startOffset)) continue;
    if (segment.isOpen || (await lastAppendTimeOf(segment)) >= oldestUs) break;
    trim = segment.nextOffset;
  }
  return trim;
}

/** False for what is trimmed already and only waits to be deleted. */
function isKept(segment: RetainedSegment, startOffset: number): boolean {
  return segment.nextOffset > startOffset;
}
