import type { AppendCommand } from "../../src/topics/append-codec.ts";
import type { TopicCommand } from "../../src/topics/commands.ts";
import type { TopicOutcome } from "../../src/topics/topic-state.ts";

interface Batch {
  readonly firstOffset: number;
  readonly recordCount: number;
  readonly appendTimeUs: number;
  readonly command: AppendCommand;
}

/**
 * What a topic is, written down as history and looked up from scratch each time:
 * slow, and too simple to be wrong in the same way as the state machine. It
 * forgets no producer, so tests must not open more than a topic remembers.
 */
export class TopicTwin {
  readonly batches: Batch[] = [];
  readonly opens: { readonly id: string; readonly epoch: number }[] = [];
  start = 0;

  get next(): number {
    let count = 0;
    for (const batch of this.batches) count += batch.recordCount;
    return count;
  }

  apply(command: TopicCommand, raftIndex: number): TopicOutcome | "refused" {
    switch (command.kind) {
      case "append":
        return this.#append(command);
      case "open":
        this.opens.push({ id: command.producerId, epoch: raftIndex });
        return { kind: "opened", epoch: raftIndex };
      case "trim":
        if (command.beforeOffset > this.next) return "refused";
        if (command.beforeOffset > this.start) this.start = command.beforeOffset;
        return { kind: "trimmed", firstOffset: this.start };
      case "settings":
        throw new Error("The twin has no settings");
    }
  }

  /** Batches of one epoch of a producer, in order. */
  ofProducer(id: string, epoch: number): Batch[] {
    return this.batches.filter(
      ({ command: { producer } }) => producer?.id === id && producer.epoch === epoch,
    );
  }

  epochOf(id: string): number | undefined {
    return this.opens.findLast((open) => open.id === id)?.epoch;
  }

  /** Why a batch is not appended; the reasons in the order in which they count. */
  reason(command: AppendCommand): string | undefined {
    const { producer, fencingToken, expectedNextOffset } = command;
    const current = producer && this.epochOf(producer.id);
    const mine = producer ? this.ofProducer(producer.id, producer.epoch) : [];
    const isCurrent = producer !== undefined && producer.epoch === current;
    if (isCurrent && producer.sequence < mine.length - 32) return "SEQUENCE_TOO_OLD";
    const tokens = this.batches.map((batch) => batch.command.fencingToken ?? 0);
    if (fencingToken !== undefined && tokens.some((token) => token > fencingToken)) return "FENCED";
    if (producer !== undefined) {
      if (current === undefined || producer.epoch > current) return "PRODUCER_UNKNOWN";
      if (producer.epoch < current) return "PRODUCER_FENCED";
      if (producer.sequence > mine.length) return "SEQUENCE_GAP";
    }
    if (expectedNextOffset !== undefined && expectedNextOffset !== this.next) {
      return "OFFSET_MISMATCH";
    }
    return undefined;
  }

  #append(command: AppendCommand): TopicOutcome | "refused" {
    const { producer } = command;
    if (producer !== undefined && producer.epoch === this.epochOf(producer.id)) {
      const mine = this.ofProducer(producer.id, producer.epoch);
      const first = mine[producer.sequence];
      if (first !== undefined && producer.sequence >= mine.length - 32) {
        const { firstOffset, recordCount, appendTimeUs } = first;
        return { kind: "appended", firstOffset, recordCount, appendTimeUs, duplicate: true };
      }
    }
    if (this.reason(command) !== undefined) return "refused";
    const times = this.batches.map((batch) => batch.appendTimeUs);
    const batch: Batch = {
      firstOffset: this.next,
      recordCount: command.recordCount,
      appendTimeUs: Math.max(command.clockUs, ...times),
      command,
    };
    this.batches.push(batch);
    const { firstOffset, recordCount, appendTimeUs } = batch;
    return { kind: "appended", firstOffset, recordCount, appendTimeUs, duplicate: false };
  }
}
