import { setTimeout as pause } from "node:timers/promises";
import { failureOf } from "../../src/client/failure.ts";
import type { Batch } from "./checker-history.ts";
import {
  acknowledge,
  CALL_MS_MAX,
  giveUp,
  mayTryAgain,
  newBatch,
  openProducer,
  type ProducerOptions,
} from "./checker-producers.ts";
import { recordsOf } from "./checker-records.ts";

interface Sent {
  readonly batch: Batch;
  /** 0 where there are no sequence numbers. */
  readonly sequence: bigint;
}

/** ProduceStream with many batches in flight; what a stream leaves without an answer is not tried again. */
export async function runStreams(options: ProducerOptions, inFlight: number): Promise<void> {
  while (!options.isStopped()) {
    const waiting: Sent[] = [];
    const error = await runStream(options, {
      inFlight,
      waiting,
      again: [],
      next: () => ({ batch: newBatch(options), sequence: 0n }),
    });
    const isOfFirst = failureOf(error).metadata["batchNumber"] !== undefined;
    for (const [place, { batch }] of waiting.entries()) {
      // An error that names a batch is about the first; those behind it may be there all the same.
      giveUp(options, batch, place === 0 && isOfFirst ? error : undefined);
    }
    if (error !== undefined) await options.targets.next();
  }
}

/** The same with sequence numbers: the next stream sends again what was left without an answer. */
export async function runSequencedStreams(
  options: ProducerOptions,
  inFlight: number,
): Promise<void> {
  const id = `checker-${options.producer}`;
  const epoch = await openProducer(options, id);
  if (epoch === undefined) return;
  let sequence = -1n;
  let again: Sent[] = [];
  while (!options.isStopped()) {
    const waiting: Sent[] = [];
    const error = await runStream(options, {
      ...{ inFlight, waiting, again, producer: { id, epoch } },
      next: () => {
        sequence += 1n;
        return { batch: newBatch(options), sequence };
      },
    });
    again = waiting;
    const first = waiting[0];
    if (error === undefined || first === undefined) continue;
    if (!mayTryAgain(options, first.batch, error)) {
      for (const { batch } of waiting.slice(1)) options.history.leaveUnknown(batch);
      return;
    }
    await options.targets.next();
  }
  for (const { batch } of again) options.history.leaveUnknown(batch);
}

interface StreamOptions {
  readonly inFlight: number;
  /** Filled with what is sent and not answered, in order. */
  readonly waiting: Sent[];
  /** Sent first. */
  readonly again: readonly Sent[];
  readonly next: () => Sent;
  readonly producer?: { readonly id: string; readonly epoch: bigint };
}

/** One stream, until it fails or the producer is stopped. @returns what it failed with */
async function runStream(options: ProducerOptions, stream: StreamOptions): Promise<unknown> {
  const { waiting, inFlight } = stream;
  const { topic, targets, paceMs } = options;
  const end = new AbortController();
  const left = [...stream.again];
  // A batch belongs to the stream from the moment it may be sent.
  waiting.push(...left);
  let lastAnswerMs = performance.now();
  let lastOffset = -1n;
  async function* requests() {
    for (;;) {
      const sent = left.shift() ?? (await due());
      if (sent === undefined) return;
      const { batch, sequence } = sent;
      const producer = stream.producer && { ...stream.producer, sequence };
      const request = { topic, records: recordsOf(batch), ...(producer && { producer }) };
      yield { batches: [request] };
    }
  }
  const due = async (): Promise<Sent | undefined> => {
    do {
      await pause(paceMs);
      if (options.isStopped() || end.signal.aborted) return undefined;
    } while (waiting.length >= inFlight);
    const sent = stream.next();
    if (waiting.length === 0) lastAnswerMs = performance.now();
    waiting.push(sent);
    return sent;
  };
  const watch = setInterval(() => {
    if (waiting.length > 0 && performance.now() - lastAnswerMs > CALL_MS_MAX) end.abort();
  }, 500);
  try {
    const { log } = targets.clients;
    for await (const answer of log.produceStream(requests(), { signal: end.signal })) {
      lastAnswerMs = performance.now();
      for (const { firstOffset } of answer.acknowledgements) {
        const sent = waiting.shift();
        if (sent !== undefined) acknowledge(options, sent.batch, firstOffset);
        if (sent === undefined || firstOffset <= lastOffset) {
          options.history.violate(`${topic}: a stream's answer ${firstOffset} after ${lastOffset}`);
        }
        lastOffset = firstOffset;
      }
    }
    if (waiting.length > 0) options.history.violate(`${topic}: a stream ended without answers`);
    return undefined;
  } catch (error) {
    return error;
  } finally {
    end.abort();
    clearInterval(watch);
  }
}
