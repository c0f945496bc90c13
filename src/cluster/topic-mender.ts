import type { Clock } from "../base/clock.ts";
import { hasReason, ProglogError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { MIB, toOffset } from "../base/units.ts";
import { soundUpTo } from "../storage/copied-frames.ts";
import type { Log } from "../storage/log.ts";
import type { Mender } from "../topics/mender.ts";
import type { DamageCounts } from "./damage-counts.ts";
import { furthestVoter, type VotingGroup } from "./furthest-voter.ts";
import type { PeerCalls } from "./peer-host.ts";

/** Frames that are held at once to be written over damaged ones; what is wider is left to the operator. */
const RANGE_BYTES_MAX = 64 * MIB;

/** A peer that is silent for so long is given up. */
const PEER_SILENCE_MS = 5_000;

/** What could not be made good is tried again no sooner. */
const AGAIN_MS = 10_000;

/** Records that are looked at one by one, each way, to find where the damage ends. */
const PROBES_MAX = 256;

/** Records by which a range is widened that does not fit between its neighbours; then four times as many. */
const FIRST_MARGIN = 16;

/** Offsets from the first up to the end. */
interface OffsetRange {
  readonly firstOffset: number;
  readonly endOffset: number;
}

/** A replica that may have what is damaged here. */
interface Source {
  readonly nodeId: string;
  readonly topicId: number;
  readonly fromReplica: number;
  readonly toReplica: number;
}

/** The replica as this sees it. */
export interface MendedGroup extends VotingGroup {
  readonly topicId: number;
  readonly raft: VotingGroup["raft"] & {
    readonly role: "leader" | "follower" | "candidate";
    transferLeadership(toReplica: number): Promise<void>;
  };
}

export interface TopicMenderParts {
  readonly topic: string;
  readonly log: Log;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly peers: Pick<PeerCalls, "copyRange">;
  readonly counts: DamageCounts;
  /** Where a replica of the topic is, and whether that node has been heard of lately. */
  readonly nodeOf: (replicaId: number) => string | undefined;
  readonly isUp: (nodeId: string) => boolean | undefined;
}

/**
 * Writes what other replicas have over damaged records of this one: all have the same bytes at the same offsets.
 * A leader hands its leadership on first, as far as that is possible.
 */
export class TopicMender implements Mender {
  readonly #parts: TopicMenderParts;
  readonly #abort = new AbortController();
  #group: MendedGroup | undefined;
  /** One at a time: the next one finds what the one before has done. */
  #running: Promise<unknown> = Promise.resolve();
  readonly #waiting = new Map<number, Promise<boolean>>();
  #hopeless: (OffsetRange & { readonly untilMs: number }) | undefined;

  constructor(parts: TopicMenderParts) {
    this.#parts = parts;
  }

  /** To be called once, before anything is read. */
  attach(group: MendedGroup): void {
    this.#group = group;
  }

  mend(offset: number): Promise<boolean> {
    const known = this.#waiting.get(offset);
    if (known !== undefined) return known;
    const work = this.#running.then(() => this.#mend(offset));
    this.#running = work;
    this.#waiting.set(offset, work);
    void work.then(() => this.#waiting.delete(offset));
    return work;
  }

  close(): void {
    this.#abort.abort();
  }

  async #mend(offset: number): Promise<boolean> {
    const { counts, logger, topic, clock } = this.#parts;
    const group = this.#group;
    if (group === undefined || this.#abort.signal.aborted || this.#isHopeless(offset)) return false;
    let range: OffsetRange = { firstOffset: offset, endOffset: offset + 1 };
    try {
      if (await this.#isSound(offset)) return true;
      counts.found += 1;
      range = await this.#damaged(offset);
      const fields = { topic, ...range };
      const sources = this.#sources(group);
      if (sources.length === 0) {
        logger.error("Records are damaged, and no other replica has them", fields);
        this.#hopeless = { ...range, untilMs: clock.monotonicMs() + AGAIN_MS };
        return false;
      }
      logger.warn("Records are damaged; another replica is asked for them", fields);
      await this.#handOver(group);
      await this.#repair(range, sources);
      counts.repaired += 1;
      logger.info("Damaged records are whole again", fields);
      return true;
    } catch (error) {
      if (this.#abort.signal.aborted) return false;
      this.#hopeless = { ...range, untilMs: clock.monotonicMs() + AGAIN_MS };
      logger.error("Damaged records could not be made good", { topic, ...range }, error);
      return false;
    }
  }

  #isHopeless(offset: number): boolean {
    const known = this.#hopeless;
    if (known === undefined || known.untilMs <= this.#parts.clock.monotonicMs()) return false;
    return offset >= known.firstOffset && offset < known.endOffset;
  }

  /** Those of the other replicas first that are known to be there. */
  #sources({ raft, topicId, replicaId }: MendedGroup): Source[] {
    const { nodeOf, isUp } = this.#parts;
    const { voters, learners } = raft.conf;
    const others = [...voters, ...learners].filter((id) => id !== replicaId);
    const placed = others.flatMap((id) => {
      const nodeId = nodeOf(id);
      return nodeId === undefined || isUp(nodeId) === false
        ? []
        : [{ nodeId, topicId, fromReplica: replicaId, toReplica: id }];
    });
    return placed.sort((left, right) => Number(isUp(right.nodeId)) - Number(isUp(left.nodeId)));
  }

  /** Best effort: without a quorum nobody can take it, and others read all the same. */
  async #handOver(group: MendedGroup): Promise<void> {
    if (group.raft.role !== "leader") return;
    const successor = furthestVoter(group);
    if (successor === undefined) return;
    await group.raft.transferLeadership(successor).catch((error) => {
      const fields = { topic: this.#parts.topic, why: `${error}` };
      this.#parts.logger.debug("The leadership of a damaged replica was not handed on", fields);
    });
  }

  async #repair(range: OffsetRange, sources: readonly Source[]): Promise<void> {
    const { log } = this.#parts;
    await log.written();
    const segment = this.#segmentOf(range.firstOffset);
    for (let margin = 0; ; margin = margin === 0 ? FIRST_MARGIN : margin * 4) {
      const wide = {
        firstOffset: Math.max(segment.firstOffset, range.firstOffset - margin),
        endOffset: Math.min(segment.endOffset, range.endOffset + margin),
      };
      const isAll =
        wide.firstOffset === segment.firstOffset && wide.endOffset === segment.endOffset;
      const frames = await this.#copyFromAny(wide, sources);
      try {
        await log.repair({ firstOffset: wide.firstOffset, frames });
        return;
      } catch (error) {
        if (isAll || !hasReason(error, "STORE_CORRUPT")) throw error;
      }
    }
  }

  /**
   * Each goes on where the one before had damage of its own.
   * @throws what the last one says when none has the next record
   */
  async #copyFromAny(range: OffsetRange, sources: readonly Source[]): Promise<Uint8Array[]> {
    const frames: Uint8Array[] = [];
    let failure: unknown;
    for (let before = -1; before < frames.length; ) {
      before = frames.length;
      for (const source of sources) {
        try {
          await this.#copy(range, source, frames);
          return frames;
        } catch (error) {
          this.#abort.signal.throwIfAborted();
          failure = error;
        }
      }
    }
    throw failure;
  }

  /** Adds what the source has of the range after the frames that are there already. */
  async #copy(range: OffsetRange, source: Source, frames: Uint8Array[]): Promise<void> {
    const { firstOffset: first, endOffset } = range;
    const { nodeId, ...request } = source;
    const pieces = this.#parts.peers.copyRange(
      nodeId,
      { ...request, firstOffset: first + frames.length, endOffset },
      { timeoutMs: PEER_SILENCE_MS, signal: this.#abort.signal },
    );
    let bytes = frames.reduce((total, { length }) => total + length, 0);
    for await (const piece of pieces) {
      if (piece.firstOffset !== first + frames.length) throw tooShort(first);
      for (const frame of piece.frames) bytes += frame.length;
      if (bytes > RANGE_BYTES_MAX) throw tooWide(first, endOffset);
      frames.push(...piece.frames);
    }
    if (frames.length !== endOffset - first) throw tooShort(first);
  }

  /** The damaged records around `offset` that are found one by one; the range may be too small. */
  async #damaged(offset: number): Promise<OffsetRange> {
    const { firstOffset: first, endOffset: end } = this.#segmentOf(offset);
    let firstOffset = offset;
    let endOffset = offset + 1;
    while (firstOffset > first && offset - firstOffset < PROBES_MAX) {
      if (await this.#isSound(firstOffset - 1)) break;
      firstOffset -= 1;
    }
    while (endOffset < end && endOffset - offset < PROBES_MAX) {
      if (await this.#isSound(endOffset)) break;
      endOffset += 1;
    }
    return { firstOffset, endOffset };
  }

  async #isSound(offset: number): Promise<boolean> {
    const first = toOffset(offset);
    try {
      const { bytes } = await this.#parts.log.readFrames(first, { bytesMax: 1, recordsMax: 1 });
      return soundUpTo({ bytes, first, count: 1 }) === offset + 1;
    } catch (error) {
      if (hasReason(error, "STORE_CORRUPT")) return false;
      throw error;
    }
  }

  #segmentOf(offset: number): OffsetRange {
    const found = this.#parts.log
      .segments()
      .find(({ base, nextOffset }) => offset >= base && offset < nextOffset);
    if (found === undefined) throw tooShort(offset);
    return { firstOffset: found.base, endOffset: found.nextOffset };
  }
}

function tooShort(offset: number): ProglogError {
  return new ProglogError(
    "OFFSET_OUT_OF_RANGE",
    `Cannot repair the records from offset ${offset} on: they are not all there`,
    { metadata: { offset: `${offset}` } },
  );
}

function tooWide(firstOffset: number, endOffset: number): ProglogError {
  return new ProglogError(
    "STORE_CORRUPT",
    `Cannot repair offsets ${firstOffset} to ${endOffset - 1} in place: they take more than ${RANGE_BYTES_MAX} bytes`,
    { metadata: { offset: `${firstOffset}` } },
  );
}
