import { setTimeout as pause } from "node:timers/promises";
import { integerFrom } from "../support/prng.ts";
import type { Batch, History } from "./checker-history.ts";
import { recordsOf } from "./checker-records.ts";
import { type Targets, writeFailureOf } from "./checker-targets.ts";

/** Longest that a producer waits for an answer. */
export const CALL_MS_MAX = 5_000;

/** What all producers have. */
export interface ProducerOptions {
  readonly history: History;
  readonly targets: Targets;
  readonly random: () => number;
  /** Its number. */
  readonly producer: number;
  readonly topic: string;
  /** Between two batches. */
  readonly paceMs: number;
  readonly isStopped: () => boolean;
  /** An acknowledgement came. */
  readonly onAcknowledged: (batch: Batch) => void;
  /** For the record of what happened. */
  readonly note: (what: string, batch: Batch, more?: string) => void;
}

const BATCH_RECORDS_MAX = 20;

export function newBatch({ history, topic, producer, random }: ProducerOptions): Batch {
  const isSingle = random() < 0.5;
  return history.begin(topic, producer, isSingle ? 1 : integerFrom(random, 1, BATCH_RECORDS_MAX));
}

export function acknowledge(options: ProducerOptions, batch: Batch, firstOffset: bigint): void {
  options.history.acknowledge(batch, Number(firstOffset));
  options.onAcknowledged(batch);
  options.note("acknowledged", batch, `${firstOffset}`);
}

/** A batch that failed and is not tried again. */
export function giveUp(options: ProducerOptions, batch: Batch, error: unknown): void {
  const { isRefusal, code, reason, message } = writeFailureOf(error);
  if (isRefusal) options.history.refuse(batch);
  else options.history.leaveUnknown(batch);
  options.note(isRefusal ? "refused" : "unknown", batch, `${code} ${reason ?? ""} ${message}`);
}

/** One unary call at a time; what fails is not tried again. */
export async function runPlain(options: ProducerOptions): Promise<void> {
  const { targets, topic, paceMs } = options;
  while (!options.isStopped()) {
    const batch = newBatch(options);
    try {
      const request = { topic, records: recordsOf(batch) };
      const answer = await targets.clients.log.produce(request, { timeoutMs: CALL_MS_MAX });
      acknowledge(options, batch, answer.firstOffset);
    } catch (error) {
      giveUp(options, batch, error);
      await targets.next();
    }
    await pause(paceMs);
  }
}

/** Many unary calls at a time, of one producer. */
export async function runMany(options: ProducerOptions, inFlight: number): Promise<void> {
  await Promise.all(Array.from({ length: inFlight }, () => runPlain(options)));
}

/**
 * One batch at a time, each with the offset that it must get. One that may be there already is
 * tried again with the same offset, so it is there once; nobody else writes to the topic.
 */
export async function runExpecting(options: ProducerOptions): Promise<void> {
  const { targets, topic, paceMs, history } = options;
  let next = 0;
  while (!options.isStopped()) {
    const batch = newBatch(options);
    const records = recordsOf(batch);
    for (;;) {
      try {
        const request = { topic, records, expectedNextOffset: BigInt(next) };
        const answer = await targets.clients.log.produce(request, { timeoutMs: CALL_MS_MAX });
        if (Number(answer.firstOffset) !== next) {
          history.violate(`${topic}: expected offset ${next}, got ${answer.firstOffset}`);
        }
        acknowledge(options, batch, answer.firstOffset);
        break;
      } catch (error) {
        const { reason, metadata } = writeFailureOf(error);
        if (reason === "OFFSET_MISMATCH") {
          // An earlier try was appended after all.
          if (Number(metadata["nextOffset"]) !== next + batch.count) {
            history.violate(`${topic}: next offset ${metadata["nextOffset"]} instead of ${next}`);
          }
          acknowledge(options, batch, BigInt(next));
          break;
        }
        if (options.isStopped()) {
          history.leaveUnknown(batch);
          return;
        }
        options.note("again", batch, `${error}`);
        await targets.next();
      }
    }
    next += batch.count;
    await pause(paceMs);
  }
}

/** One batch at a time, with sequence numbers; each is tried until it is acknowledged. */
export async function runSequenced(options: ProducerOptions): Promise<void> {
  const { targets, topic, producer, paceMs } = options;
  const id = `checker-${producer}`;
  const epoch = await openProducer(options, id);
  for (let sequence = 0n; epoch !== undefined && !options.isStopped(); sequence += 1n) {
    const batch = newBatch(options);
    const request = { topic, records: recordsOf(batch), producer: { id, epoch, sequence } };
    for (;;) {
      try {
        const answer = await targets.clients.log.produce(request, { timeoutMs: CALL_MS_MAX });
        acknowledge(options, batch, answer.firstOffset);
        break;
      } catch (error) {
        if (!mayTryAgain(options, batch, error)) return;
        await targets.next();
      }
    }
    await pause(paceMs);
  }
}

/** False when it ends here: it is stopped, or the server's answer must not be. */
export function mayTryAgain(options: ProducerOptions, batch: Batch, error: unknown): boolean {
  const failure = writeFailureOf(error);
  options.note("again", batch, `${failure.code} ${failure.reason ?? ""} ${failure.message}`);
  if (!failure.isRetryable) {
    options.history.violate(`${batch.topic}: a retry got ${failure.reason}: ${failure.message}`);
  }
  if (failure.isRetryable && !options.isStopped()) return true;
  options.history.leaveUnknown(batch);
  return false;
}

export async function openProducer(
  options: ProducerOptions,
  producerId: string,
): Promise<bigint | undefined> {
  const { targets, topic } = options;
  while (!options.isStopped()) {
    try {
      const { log } = targets.clients;
      return (await log.openProducer({ topic, producerId }, { timeoutMs: CALL_MS_MAX })).epoch;
    } catch {
      await targets.next();
    }
  }
  return undefined;
}
