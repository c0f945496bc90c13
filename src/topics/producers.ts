import { type ByteReader, type ByteWriter, MalformedBytesError } from "../base/bytes.ts";
import type { ProducerBatch } from "./topics.ts";

/** Producers that a topic remembers; opening one more forgets the one idle for longest. */
export const PRODUCERS_MAX = 4_096;

/** Batches of a producer whose answers are remembered, so that a retry gets the first answer. */
export const IN_FLIGHT_MAX = 32;

/** The answer to an appended batch. */
export interface AppendedBatch {
  readonly firstOffset: number;
  readonly recordCount: number;
  readonly appendTimeUs: number;
}

/** What the table says about a batch before it is appended. */
export type ProducerVerdict =
  | { readonly kind: "next" }
  | { readonly kind: "retry"; readonly answer: AppendedBatch }
  | { readonly kind: "forgotten" }
  | { readonly kind: "unknown" }
  | { readonly kind: "fenced"; readonly currentEpoch: number }
  | { readonly kind: "gap"; readonly expectedSequence: number };

interface Producer {
  readonly epoch: number;
  nextSequence: number;
  /** Of the batch with sequence s at s % IN_FLIGHT_MAX; the last IN_FLIGHT_MAX are there. */
  readonly answers: AppendedBatch[];
}

const NEXT: ProducerVerdict = { kind: "next" };
const FORGOTTEN: ProducerVerdict = { kind: "forgotten" };
const UNKNOWN: ProducerVerdict = { kind: "unknown" };

/**
 * The producers of one topic: who may append which batch next, and what was
 * answered before. Part of the topic's state: the same calls make the same table
 * on every replica.
 *
 * The map is kept in the order of last use. Append times never go back, so the
 * first one is the one with the oldest append time, and evicting costs nothing.
 */
export class ProducerTable {
  readonly #producers = new Map<string, Producer>();

  get count(): number {
    return this.#producers.size;
  }

  /** Judges a batch and changes nothing. */
  judge({ id, epoch, sequence }: ProducerBatch): ProducerVerdict {
    const producer = this.#producers.get(id);
    // A higher epoch than the known one was never given out, unless the table was lost with it.
    if (producer === undefined || epoch > producer.epoch) return UNKNOWN;
    if (epoch < producer.epoch) return { kind: "fenced", currentEpoch: producer.epoch };
    if (sequence === producer.nextSequence) return NEXT;
    if (sequence > producer.nextSequence) {
      return { kind: "gap", expectedSequence: producer.nextSequence };
    }
    if (sequence < producer.nextSequence - IN_FLIGHT_MAX) return FORGOTTEN;
    const answer = producer.answers[sequence % IN_FLIGHT_MAX];
    return answer === undefined ? FORGOTTEN : { kind: "retry", answer };
  }

  /** Remembers the answer to the batch that {@link judge} called the next one. */
  appended(id: string, answer: AppendedBatch): void {
    const producer = this.#producers.get(id);
    if (producer === undefined) return;
    producer.answers[producer.nextSequence % IN_FLIGHT_MAX] = answer;
    producer.nextSequence += 1;
    this.#producers.delete(id);
    this.#producers.set(id, producer);
  }

  /** Begins `epoch`, which must be above all epochs before. */
  open(id: string, epoch: number): void {
    this.#producers.delete(id);
    if (this.#producers.size >= PRODUCERS_MAX) {
      const [oldest] = this.#producers.keys();
      if (oldest !== undefined) this.#producers.delete(oldest);
    }
    this.#producers.set(id, { epoch, nextSequence: 0, answers: [] });
  }

  /**
   * Bytes: `[count varint]`, then per producer, the one idle for longest first,
   * `[id][epoch varint][next sequence varint][answer count varint]` and per answer,
   * by rising sequence, `[first offset varint][record count varint][append time varint]`.
   */
  encode(writer: ByteWriter): void {
    writer.varint(this.#producers.size);
    for (const [id, { epoch, nextSequence, answers }] of this.#producers) {
      writer.text(id).varint(epoch).varint(nextSequence).varint(answers.length);
      for (let sequence = nextSequence - answers.length; sequence < nextSequence; sequence += 1) {
        const answer = answers[sequence % IN_FLIGHT_MAX];
        writer
          .varint(answer?.firstOffset ?? 0)
          .varint(answer?.recordCount ?? 0)
          .varint(answer?.appendTimeUs ?? 0);
      }
    }
  }

  static decode(reader: ByteReader): ProducerTable {
    const table = new ProducerTable();
    for (let left = reader.varint(); left > 0; left -= 1) {
      const id = reader.text();
      const epoch = reader.varint();
      const nextSequence = reader.varint();
      const answers: AppendedBatch[] = [];
      const count = reader.varint();
      if (count !== Math.min(nextSequence, IN_FLIGHT_MAX)) {
        throw new MalformedBytesError(`A producer at ${nextSequence} has ${count} answers`);
      }
      for (let sequence = nextSequence - count; sequence < nextSequence; sequence += 1) {
        answers[sequence % IN_FLIGHT_MAX] = {
          firstOffset: reader.varint(),
          recordCount: reader.varint(),
          appendTimeUs: reader.varint(),
        };
      }
      table.#producers.set(id, { epoch, nextSequence, answers });
    }
    return table;
  }
}
