import { type Offset, toOffset } from "../base/units.ts";
import { emptyExtent, extentFrom } from "../storage/extent.ts";
import { decodeFrames, decodeRecord, encodeBatch } from "../storage/frame.ts";
import type { Log } from "../storage/log.ts";
import { AcceptedRecords } from "./accepted-records.ts";
import { decodeEntry, encodeEntry, isAppend, type ProposedCommand } from "./commands.ts";
import { findTime } from "./find-time.ts";
import { Followers } from "./follow.ts";
import type { Captured, Machine, MachineEntry, TrimmedCapture } from "./machine.ts";
import type { RetainedSegment } from "./retention.ts";
import { effectiveSettings } from "./settings.ts";
import { inTopic, outOfRange } from "./topic-errors.ts";
import { type TopicOutcome, TopicState } from "./topic-state.ts";
import type {
  EffectiveSettings,
  ReadLimits,
  ReadResult,
  RecordRun,
  StartPlace,
  StoredRecord,
  TopicStatus,
} from "./topics.ts";

export interface ReplicaOptions {
  /** Topic's name, for errors. */
  readonly name: string;
  readonly log: Log;
  readonly state: TopicState;
  /** What applies where the topic's own settings say nothing. */
  readonly defaults: EffectiveSettings;
  /** Called when a trim was applied after which files may go, once a checkpoint says so. */
  readonly onTrimmedFiles: () => void;
}

/** One topic on this node: its state, its log, and those who read it. */
export class TopicReplica implements Machine<TopicOutcome, ProposedCommand> {
  readonly followers: Followers;
  readonly #name: string;
  readonly #log: Log;
  readonly #state: TopicState;
  readonly #defaults: EffectiveSettings;
  readonly #onTrimmedFiles: () => void;
  /** Append time of a closed segment's last record, by base: it never changes. */
  readonly #lastTimes = new Map<number, number>();
  #effective: EffectiveSettings;

  constructor({ name, log, state, defaults, onTrimmedFiles }: ReplicaOptions) {
    this.#name = name;
    this.#log = log;
    this.#state = state;
    this.#defaults = defaults;
    this.#onTrimmedFiles = onTrimmedFiles;
    this.#effective = effectiveSettings(state.settings, defaults);
    this.followers = new Followers(state.nextOffset);
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
    const batch = { firstOffset: toOffset(firstOffset), raftIndex, appendTimeUs, records };
    this.#log.append(encodeBatch(batch));
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
    await this.#log.close({ discardPending: discard });
  }

  /** See `Topic.resolve`. */
  async resolve(start: StartPlace): Promise<number> {
    const { startOffset: first, nextOffset: next } = this.#state;
    switch (start.at) {
      case "first":
        return first;
      case "offset":
        if (start.offset < first || start.offset > next) throw this.#outOfRange(start.offset);
        return start.offset;
      case "last":
        return Math.max(first, next - start.count);
      case "time": {
        const found = await findTime({ first, next, timeUs: start.timeUs }, (offset) =>
          this.#appendTimeAt(toOffset(offset)),
        );
        // What was trimmed meanwhile is not the first record any more.
        return Math.max(found, this.#state.startOffset);
      }
    }
  }

  /** See `Topic.read`. Goes on from run to run while a good part of the limits is left. */
  async read(offset: number, limits: ReadLimits): Promise<ReadResult> {
    const end = Math.min(limits.endOffset ?? this.#state.nextOffset, this.#state.nextOffset);
    const records: StoredRecord[] = [];
    let bytesLeft = limits.bytesMax;
    let at = offset;
    do {
      const recordsMax = limits.recordsMax - records.length;
      const rest = { recordsMax, bytesMax: bytesLeft, endOffset: end };
      const run = await this.readRun(at, rest).catch((error: unknown) => {
        // What lies before the damage is to be had; the next read begins at it and says so.
        if (at === offset) throw error;
      });
      // One record is given whatever its size, but not one more.
      if (run === undefined || (records.length > 0 && spanOf(run) > bytesLeft)) break;
      bytesLeft -= spanOf(run);
      addRecords(run, records);
      at = run.resumeOffset;
    } while (at < end && records.length < limits.recordsMax && bytesLeft > limits.bytesMax / 4);
    return { records, resumeOffset: at, highWatermark: this.#state.nextOffset };
  }

  /** See `Topic.readTail`. */
  readTail(_offset: number, _limits: ReadLimits): RecordRun | undefined {
    return undefined;
  }

  /** See `Topic.readRun`. Reads what lies together in one place: there may be more than it gives. */
  async readRun(offset: number, limits: ReadLimits): Promise<RecordRun> {
    const { startOffset, nextOffset } = this.#state;
    if (offset < startOffset || offset > nextOffset) throw this.#outOfRange(offset);
    try {
      const { recordsMax, bytesMax } = limits;
      const end = toOffset(Math.min(limits.endOffset ?? nextOffset, nextOffset));
      const frames = await this.#log.readFrames(toOffset(offset), { recordsMax, bytesMax, end });
      return decodeFrames(frames);
    } catch (error) {
      if (offset < this.#state.startOffset) throw this.#outOfRange(offset);
      throw inTopic(error, this.#name);
    }
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
    const timeUs = await this.#appendTimeAt(toOffset(segment.nextOffset - 1));
    this.#lastTimes.set(segment.base, timeUs);
    return timeUs;
  }

  async #appendTimeAt(offset: Offset): Promise<number> {
    try {
      return decodeRecord(await this.#log.read(offset), offset).appendTimeUs;
    } catch (error) {
      // Trimmed while its time was looked for: as good as older than anything.
      if (offset < this.#state.startOffset) return 0;
      throw inTopic(error, this.#name);
    }
  }

  #outOfRange(offset: number) {
    const { startOffset: firstOffset, nextOffset } = this.#state;
    return outOfRange(this.#name, offset, { firstOffset, nextOffset });
  }

  #configure(): void {
    this.#log.configure({
      segmentBytesMax: this.#effective.maxSegmentBytes,
      segmentRecordsMax: this.#effective.maxSegmentRecords,
    });
  }
}

/** Bytes from the first record to the end of the last one. */
function spanOf({ count, starts, ends }: RecordRun): number {
  return count === 0 ? 0 : (ends[count - 1] ?? 0) - (starts[0] ?? 0);
}

function addRecords(run: RecordRun, records: StoredRecord[]): void {
  const { count, bytes, starts, ends, offsets, appendTimesUs } = run;
  for (let at = 0; at < count; at += 1) {
    const body = bytes.subarray(starts[at], ends[at]);
    records.push({ offset: offsets[at] ?? 0, appendTimeUs: appendTimesUs[at] ?? 0, body });
  }
}
