import { hasReason } from "../base/errors.ts";
import { toOffset } from "../base/units.ts";
import type { StoredFrames } from "../storage/copied-frames.ts";
import { emptyExtent, extentFrom } from "../storage/extent.ts";
import { type EncodedBatch, encodeBatch, type FrameBatch } from "../storage/frame.ts";
import type { Log } from "../storage/log.ts";
import type { LogExtent } from "../storage/log-types.ts";
import { readStored } from "../storage/read-stored.ts";
import { AcceptedRecords } from "./accepted-records.ts";
import { decodeEntry, encodeEntry, isAppend, type ProposedCommand } from "./commands.ts";
import { copyRecords } from "./copy-records.ts";
import { Followers } from "./follow.ts";
import type { Captured, CopySource, Machine, MachineEntry, TrimmedCapture } from "./machine.ts";
import type { Mender } from "./mender.ts";
import type { RetainedSegment } from "./retention.ts";
import { effectiveSettings } from "./settings.ts";
import type { Tail } from "./tail.ts";
import { inTopic, outOfRange } from "./topic-errors.ts";
import { TopicReader } from "./topic-reader.ts";
import { type TopicOutcome, TopicState } from "./topic-state.ts";
import type { EffectiveSettings, TopicStatus } from "./topics.ts";

export interface ReplicaOptions {
  /** Topic's name, for errors. */
  readonly name: string;
  readonly log: Log;
  readonly state: TopicState;
  /** What applies where the topic's own settings say nothing. */
  readonly defaults: EffectiveSettings;
  /** Empty. */
  readonly tail: Tail;
  /** Asked when a damaged record is met; absent: nobody has another copy. */
  readonly mender?: Mender;
  /** Called when a trim was applied after which files may go, once a checkpoint says so. */
  readonly onTrimmedFiles: () => void;
}

interface OffsetRange {
  readonly firstOffset: number;
  readonly endOffset: number;
}

/** One topic on this node: its state, its log, and those who read it. */
export class TopicReplica implements Machine<TopicOutcome, ProposedCommand> {
  readonly followers: Followers;
  readonly reader: TopicReader;
  readonly #name: string;
  readonly #log: Log;
  readonly #state: TopicState;
  readonly #defaults: EffectiveSettings;
  readonly #tail: Tail;
  readonly #mender: Mender | undefined;
  readonly #onTrimmedFiles: () => void;
  /** Append time of a closed segment's last record, by base: it never changes. */
  readonly #lastTimes = new Map<number, number>();
  #effective: EffectiveSettings;
  /** Where the log ended before {@link bring} had it begin anew beyond; undefined when it did not. */
  #before: LogExtent | undefined;

  constructor(options: ReplicaOptions) {
    const { name, log, state, defaults, tail, mender, onTrimmedFiles } = options;
    this.#name = name;
    this.#log = log;
    this.#state = state;
    this.#defaults = defaults;
    this.#tail = tail;
    this.#mender = mender;
    this.#onTrimmedFiles = onTrimmedFiles;
    this.#effective = effectiveSettings(state.settings, defaults);
    this.followers = new Followers(state.nextOffset);
    this.reader = new TopicReader({ name, log, state, tail, mender });
    this.#configure();
  }

  get state(): TopicState {
    return this.#state;
  }

  get effectiveSettings(): EffectiveSettings {
    return this.#effective;
  }

  get status(): TopicStatus {
    const { startOffset, nextOffset, lastAppendTimeUs } = this.#state;
    const { diskBytes } = this.#log;
    return { firstOffset: startOffset, nextOffset, diskBytes, lastAppendTimeUs };
  }

  get isDiskFull(): boolean {
    return this.#log.isDiskFull;
  }

  encode(commands: readonly ProposedCommand[], clockUs: number): Uint8Array {
    return encodeEntry(commands, clockUs);
  }

  canShare(command: ProposedCommand): boolean {
    return isAppend(command);
  }

  apply({ index, payload }: MachineEntry): readonly TopicOutcome[] {
    const { commands, records } = decodeEntry(payload);
    const outcomes: TopicOutcome[] = [];
    const accepted = new AcceptedRecords(records);
    for (const command of commands) {
      const outcome = this.#state.apply(command, index);
      outcomes.push(outcome);
      if (command.kind === "append") accepted.judged(command, outcome);
      else this.#carryOut(outcome);
    }
    if (accepted.count > 0) this.#append(accepted, index);
    return outcomes;
  }

  /** What is accepted of an entry becomes one batch, however many commands it came with. */
  #append(records: AcceptedRecords, raftIndex: number): void {
    const { firstOffset, appendTimeUs } = records;
    const batch = encodeBatch({
      firstOffset: toOffset(firstOffset),
      raftIndex,
      appendTimeUs,
      records,
    });
    // A copy that was not finished has brought some of them: the same bytes, since every replica has the same.
    const missing = withoutFirst(batch, this.#log.nextOffset - firstOffset);
    if (missing !== undefined) this.#log.append(missing);
    this.#tail.add(batch, appendTimeUs);
    this.followers.advance(this.#state.nextOffset);
  }

  #carryOut(outcome: TopicOutcome): void {
    if (outcome.kind === "trimmed") {
      const [oldest] = this.#log.segments();
      const isTrimmed = oldest !== undefined && oldest.nextOffset <= outcome.firstOffset;
      if (isTrimmed && oldest.nextOffset > oldest.base) this.#onTrimmedFiles();
    } else if (outcome.kind === "settings") {
      this.#effective = effectiveSettings(outcome.settings, this.#defaults);
      this.#configure();
    }
  }

  canApply(): boolean {
    return this.#log.hasRoom();
  }

  whenCanApply(): Promise<void> {
    return this.#log.whenRoom();
  }

  written(): Promise<void> {
    return this.#log.written();
  }

  capture(): Captured {
    const { startOffset, nextOffset } = this.#state;
    // So that a topic of which everything was trimmed keeps no file for it.
    if (startOffset === nextOffset) this.#log.roll();
    const extent = extentFrom(this.#log.extent(), toOffset(startOffset));
    return { startOffset, nextOffset, extent, state: this.#state.encode() };
  }

  /**
   * Stored frames of [firstOffset, endOffset) for a peer; see `readStored`. What is found damaged is made good
   * in the background, if it can be.
   */
  async *stored({ firstOffset, endOffset }: OffsetRange): AsyncGenerator<StoredFrames, void, void> {
    const { nextOffset } = this.#state;
    if (endOffset > nextOffset) {
      const { startOffset } = this.#state;
      throw outOfRange(this.#name, endOffset, { firstOffset: startOffset, nextOffset });
    }
    let next = firstOffset;
    try {
      for await (const piece of readStored(this.#log, { firstOffset, endOffset })) {
        yield piece;
        next += piece.frames.length;
      }
    } catch (error) {
      if (hasReason(error, "STORE_CORRUPT")) void this.#mender?.mend(next);
      throw inTopic(error, this.#name);
    }
  }

  /** Tries to have the damaged record at `offset` made good. @returns true when it is to be read again */
  async mend(offset: number): Promise<boolean> {
    return (await this.#mender?.mend(offset)) ?? false;
  }

  get canCapture(): boolean {
    return this.#log.nextOffset === this.#state.nextOffset;
  }

  async bring(bytes: Uint8Array, { copy, signal }: CopySource): Promise<Captured> {
    const { startOffset, nextOffset } = TopicState.decode(bytes);
    const log = this.#log;
    if (startOffset > log.nextOffset) {
      this.#before = log.extent();
      log.beginAt(toOffset(startOffset));
    }
    try {
      await copyRecords(log, { nextOffset, copy, signal });
    } catch (error) {
      await this.abandon();
      throw error;
    }
    const extent = extentFrom(log.extent(), toOffset(startOffset));
    return { startOffset, nextOffset, extent, state: bytes };
  }

  async abandon(): Promise<void> {
    const before = this.#before;
    this.#before = undefined;
    // What was copied right behind the rest stays: the next attempt goes on after it.
    if (before !== undefined) await this.#log.cutBack(before);
  }

  become({ state }: Captured): void {
    this.#before = undefined;
    this.#state.become(TopicState.decode(state));
    this.#effective = effectiveSettings(this.#state.settings, this.#defaults);
    this.#configure();
    this.#lastTimes.clear();
    this.#tail.clear();
    this.followers.advance(this.#state.nextOffset);
  }

  captureTrim(last: Captured): TrimmedCapture | undefined {
    const { startOffset: freeBefore, nextOffset } = this.#state;
    if (freeBefore === nextOffset) this.#log.roll();
    const [oldest] = this.#log.segments();
    if (oldest === undefined || oldest.isOpen || oldest.nextOffset > freeBefore) return undefined;
    const startOffset = Math.min(freeBefore, last.nextOffset);
    const isAllTrimmed = startOffset === last.nextOffset;
    const extent = isAllTrimmed
      ? emptyExtent(toOffset(startOffset))
      : extentFrom(last.extent, toOffset(startOffset));
    const state = TopicState.decode(last.state);
    state.trimTo(startOffset);
    const captured = { startOffset, nextOffset: last.nextOffset, extent, state: state.encode() };
    return { captured, freeBefore };
  }

  async sync(): Promise<void> {
    await this.#log.sync();
  }

  async freeBefore(offset: number): Promise<void> {
    for (const base of this.#lastTimes.keys()) if (base < offset) this.#lastTimes.delete(base);
    await this.#log.trimBefore(toOffset(offset));
  }

  async close({ discard = false }: { readonly discard?: boolean } = {}): Promise<void> {
    this.#tail.clear();
    this.#mender?.close();
    await this.#log.close({ discardPending: discard });
  }

  /** Oldest first, as retention judges them. */
  segments(): RetainedSegment[] {
    return this.#log.segments().map(({ base, nextOffset, storeBytes, indexBytes, isOpen }) => {
      return { base, nextOffset, diskBytes: storeBytes + indexBytes, isOpen };
    });
  }

  /** Append time of the last record of a closed segment. */
  async lastTimeOf(segment: RetainedSegment): Promise<number> {
    const known = this.#lastTimes.get(segment.base);
    if (known !== undefined) return known;
    const timeUs = await this.reader.appendTimeAt(toOffset(segment.nextOffset - 1));
    this.#lastTimes.set(segment.base, timeUs);
    return timeUs;
  }

  #configure(): void {
    this.#log.configure({
      segmentBytesMax: this.#effective.maxSegmentBytes,
      segmentRecordsMax: this.#effective.maxSegmentRecords,
    });
  }
}

/** The batch without its first `count` frames; undefined when none is left. */
function withoutFirst(batch: EncodedBatch, count: number): FrameBatch | undefined {
  if (count <= 0) return batch;
  if (count >= batch.count) return undefined;
  const start = batch.ends[count - 1] ?? 0;
  return {
    bytes: batch.bytes.subarray(start),
    ends: batch.ends.slice(count).map((end) => end - start),
    count: batch.count - count,
    firstOffset: toOffset(batch.firstOffset + count),
  };
}
