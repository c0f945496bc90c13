/** What became of a batch, as its producer knows it. */
export type Outcome = "open" | "acknowledged" | "refused" | "unknown";

/** A batch of records with the numbers `first` to `first + count - 1` of one producer. */
export interface Batch {
  readonly topic: string;
  readonly producer: number;
  readonly first: number;
  readonly count: number;
  /** Next offset of the topic that some answer had told before this batch was first sent. */
  readonly floor: number;
  readonly outcome: Outcome;
  /** Of an acknowledged batch. */
  readonly firstOffset: number;
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** Producers have numbers below this. */
const PRODUCERS_MAX = 1024;
/** More of them say nothing new. */
const VIOLATIONS_MAX = 50;
const NOTHING_THERE = -1;

/** A record's name: the producer and its number there, in one number. */
export function recordIdOf(producer: number, number: number): number {
  return number * PRODUCERS_MAX + producer;
}

function nameOf(id: number): string {
  return id < 0 ? "nothing" : `${id % PRODUCERS_MAX}:${Math.floor(id / PRODUCERS_MAX)}`;
}

interface TopicHistory {
  /** By offset: the record that some reader saw there first. */
  readonly records: number[];
  readonly appendTimes: number[];
  readonly batches: Writable<Batch>[];
  /** By producer, for those that keep their own order. */
  readonly nextNumbers: Map<number, number>;
  /** Offset after the last record that was acknowledged. */
  floor: number;
}

/**
 * All that producers were told and readers saw, and what of it contradicts the promises: an
 * acknowledged record is there once, at its offset, on every server, for ever; a refused one is
 * not; of a batch without an answer all or none is there, once; what was acknowledged before
 * another was sent stands before it; append times never go back.
 */
export class History {
  readonly violations: string[] = [];
  readonly #topics = new Map<string, TopicHistory>();
  /** Producers whose records must stand in the order of their numbers. */
  readonly #ordered: ReadonlySet<number>;

  constructor(topics: readonly string[], orderedProducers: Iterable<number>) {
    this.#ordered = new Set(orderedProducers);
    for (const topic of topics) {
      this.#topics.set(topic, {
        records: [],
        appendTimes: [],
        batches: [],
        nextNumbers: new Map(),
        floor: 0,
      });
    }
  }

  get topics(): readonly string[] {
    return [...this.#topics.keys()];
  }

  /** A batch is about to be sent for the first time. */
  begin(topic: string, producer: number, count: number): Batch {
    const known = this.#of(topic);
    const first = known.nextNumbers.get(producer) ?? 0;
    known.nextNumbers.set(producer, first + count);
    const floor = known.floor;
    const batch: Writable<Batch> = {
      ...{ topic, producer, first, count, floor },
      ...{ outcome: "open", firstOffset: NOTHING_THERE },
    };
    known.batches.push(batch);
    return batch;
  }

  acknowledge(batch: Batch, firstOffset: number): void {
    const open = this.#open(batch);
    open.outcome = "acknowledged";
    open.firstOffset = firstOffset;
    if (firstOffset < batch.floor) {
      this.violate(
        `${this.#describe(batch)} got offset ${firstOffset}, but ${batch.floor - 1} was acknowledged before it was sent`,
      );
    }
    const known = this.#of(batch.topic);
    known.floor = Math.max(known.floor, firstOffset + batch.count);
  }

  /** The answer said that nothing was appended. */
  refuse(batch: Batch): void {
    this.#open(batch).outcome = "refused";
  }

  /** No answer came, or one that leaves it open. */
  leaveUnknown(batch: Batch): void {
    this.#open(batch).outcome = "unknown";
  }

  /** Offset after the last acknowledged record of a topic. */
  floorOf(topic: string): number {
    return this.#of(topic).floor;
  }

  /** Records that some reader has seen: offsets below it are known. */
  seenOf(topic: string): number {
    return this.#of(topic).records.length;
  }

  /** A reader got this record; readers see offsets without gaps. */
  see(
    topic: string,
    place: { readonly server: string; readonly offset: number },
    record: { readonly id: number; readonly appendTime: number },
  ): void {
    const known = this.#of(topic);
    const { offset, server } = place;
    const before = known.records[offset];
    if (before === undefined) {
      if (offset !== known.records.length) {
        this.violate(
          `${topic}: ${server} returned offset ${offset} before ${known.records.length}`,
        );
      }
      if (record.appendTime < (known.appendTimes.at(-1) ?? 0)) {
        this.violate(`${topic}: the append time goes back at ${offset}`);
      }
      known.records[offset] = record.id;
      known.appendTimes[offset] = record.appendTime;
      return;
    }
    if (before === record.id && known.appendTimes[offset] === record.appendTime) return;
    this.violate(
      `${topic}: ${server} has ${nameOf(record.id)} at ${offset}, where ${nameOf(before)} was seen before`,
    );
  }

  /** Something that must not be. */
  violate(what: string): void {
    if (this.violations.length < VIOLATIONS_MAX) this.violations.push(what);
  }

  /** Judges all that was seen so far; to be called when nothing is under way. */
  judge(): Tally {
    const tally: Writable<Tally> = {
      acknowledged: 0,
      unknown: 0,
      refused: 0,
      seen: 0,
      ...NO_FAULTS,
    };
    for (const [topic, known] of this.#topics) {
      tally.seen += known.records.length;
      const places = this.#placesOf(topic, known, tally);
      for (const batch of known.batches) this.#judgeBatch(batch, { known, places, tally });
      this.#judgeOrder(known, places, tally);
    }
    return tally;
  }

  /** Where each record stands. */
  #placesOf(topic: string, { records }: TopicHistory, tally: Writable<Tally>) {
    const places = new Map<number, number>();
    for (const [offset, id] of records.entries()) {
      const first = places.get(id);
      if (first === undefined) {
        places.set(id, offset);
        continue;
      }
      tally.duplicated += 1;
      this.violate(`${topic}: ${nameOf(id)} is there twice, at ${first} and ${offset}`);
    }
    return places;
  }

  #judgeBatch(batch: Batch, known: Judged): void {
    const { tally, places } = known;
    const offsets = Array.from({ length: batch.count }, (_, at) =>
      places.get(recordIdOf(batch.producer, batch.first + at)),
    );
    const firstOffset = offsets[0];
    const isWhole = offsets.every((offset, at) => offset === (firstOffset ?? 0) + at);
    if (batch.outcome === "acknowledged") {
      tally.acknowledged += batch.count;
      if (isWhole && firstOffset === batch.firstOffset) return;
      const isMissing = offsets.some((offset) => offset === undefined);
      if (isMissing) tally.lost += offsets.filter((offset) => offset === undefined).length;
      else tally.reordered += 1;
      this.violate(
        `${this.#describe(batch)} was acknowledged at ${batch.firstOffset}, and is at ${offsets.join()}`,
      );
      return;
    }
    if (batch.outcome === "refused") tally.refused += batch.count;
    else tally.unknown += batch.count;
    if (offsets.every((offset) => offset === undefined)) return;
    if (batch.outcome === "refused") {
      this.violate(`${this.#describe(batch)} was refused, and is at ${offsets.join()}`);
    } else if (!isWhole) {
      this.violate(`${this.#describe(batch)} is there in part, at ${offsets.join()}`);
    } else if ((firstOffset ?? 0) < batch.floor) {
      tally.reordered += 1;
      this.violate(`${this.#describe(batch)} is at ${firstOffset}, below ${batch.floor}`);
    }
  }

  /** Numbers of a producer that keeps its order rise with the offsets. */
  #judgeOrder(
    { records }: TopicHistory,
    places: ReadonlyMap<number, number>,
    tally: Writable<Tally>,
  ): void {
    const last = new Map<number, number>();
    for (const [offset, id] of records.entries()) {
      if (places.get(id) !== offset) continue;
      const producer = id % PRODUCERS_MAX;
      if (!this.#ordered.has(producer)) continue;
      const before = last.get(producer) ?? NOTHING_THERE;
      if (id < before) {
        tally.reordered += 1;
        this.violate(`${nameOf(id)} at ${offset} stands behind ${nameOf(before)}`);
      }
      last.set(producer, id);
    }
  }

  #describe({ topic, producer, first, count }: Batch): string {
    return `${topic}: ${count} records from ${nameOf(recordIdOf(producer, first))}`;
  }

  #open(batch: Batch): Writable<Batch> {
    if (batch.outcome !== "open") throw new Error(`${this.#describe(batch)} is settled already`);
    return batch;
  }

  #of(topic: string): TopicHistory {
    const known = this.#topics.get(topic);
    if (known === undefined) throw new Error(`No history of ${topic}`);
    return known;
  }
}

interface Judged {
  readonly known: TopicHistory;
  readonly places: ReadonlyMap<number, number>;
  readonly tally: Writable<Tally>;
}

/** Records, by what became of them. */
export interface Tally {
  readonly acknowledged: number;
  readonly unknown: number;
  readonly refused: number;
  readonly seen: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly reordered: number;
}

const NO_FAULTS = { lost: 0, duplicated: 0, reordered: 0 };
