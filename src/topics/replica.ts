import { toOffset } from "../base/units.ts";
import { emptyExtent, extentFrom } from "../storage/extent.ts";
import { encodeBatch } from "../storage/frame.ts";
import type { Log } from "../storage/log.ts";
import { AcceptedRecords } from "./accepted-records.ts";
import { decodeEntry, encodeEntry, isAppend, type ProposedCommand } from "./commands.ts";
import { Followers } from "./follow.ts";
import type { Captured, Machine, MachineEntry, TrimmedCapture } from "./machine.ts";
import type { RetainedSegment } from "./retention.ts";
import { effectiveSettings } from "./settings.ts";
import type { Tail } from "./tail.ts";
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
  /** Called when a trim was applied after which files may go, once a checkpoint says so. */
  readonly onTrimmedFiles: () => void;
}

/** One topic on this node: its state, its log, and those who read it. */
export class TopicReplica implements Machine<TopicOutcome, ProposedCommand> {
  readonly followers: Followers;
  readonly reader: TopicReader;
  readonly #log: Log;
  readonly #state: TopicState;
  readonly #defaults: EffectiveSettings;
  readonly #tail: Tail;
  readonly #onTrimmedFiles: () => void;
  /** Append time of a closed segment's last record, by base: it never changes. */
  readonly #lastTimes = new Map<number, number>();
  #effective: EffectiveSettings;

  constructor({ name, log, state, defaults, tail, onTrimmedFiles }: ReplicaOptions) {
    this.#log = log;
    this.#state = state;
    this.#defaults = defaults;
    this.#tail = tail;
    this.#onTrimmedFiles = onTrimmedFiles;
    this.#effective = effectiveSettings(state.settings, defaults);
    this.followers = new Followers(state.nextOffset);
    this.reader = new TopicReader({ name, log, state, tail });
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
    this.#log.append(batch);
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
