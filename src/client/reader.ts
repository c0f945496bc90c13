import { create } from "@bufbuild/protobuf";
import type { Empty } from "@bufbuild/protobuf/wkt";
import { createContextValues, type Transport } from "@connectrpc/connect";
import { readVarint, type Varint } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import { ConsumeStreamRequestSchema } from "../gen/proglog/v1/log_service_pb.ts";
import type { ConsumedRecord } from "./consumed-record.ts";
import { type Failure, failureOf } from "./failure.ts";
import { RAW_CONSUME_STREAM } from "./raw-methods.ts";

/** Fields of ConsumeStreamResponse. */
const RECORDS = 1;
const RESUME_OFFSET = 2;
const HIGH_WATERMARK = 3;

/** What is asked of the server, and how long its silence may last at most: then the connection is dead. */
const HEARTBEAT_MS = 5_000;
const SILENCE_MS_MAX = 2 * HEARTBEAT_MS;

const RECONNECT_MS_MIN = 100;
const RECONNECT_MS_MAX = 2_000;

export interface ReadOptions {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly topic: string;
  readonly topicId: number;
  readonly offset: number;
  /** Where to stop; undefined to go on for ever, also after a lost connection. */
  readonly endOffset: number | undefined;
  /**
   * With an end: how often in a row a lost connection may be made again, when there are other servers
   * to go on with. Default 0.
   */
  readonly triesMax?: number;
  readonly signal: AbortSignal;
  /** Told once when the connection is lost, and once when it is back. */
  readonly onLost?: (failure: Failure) => void;
  readonly onResumed?: (offset: number) => void;
}

/** One message from the server. */
export class ReadMessage {
  readonly #fields: readonly { readonly no: number; readonly data: Uint8Array }[];
  readonly resumeOffset: number;
  readonly highWatermark: number;

  constructor(message: Empty) {
    this.#fields = message.$unknown ?? [];
    this.resumeOffset = this.#number(RESUME_OFFSET);
    this.highWatermark = this.#number(HIGH_WATERMARK);
  }

  /** Calls `visit` for each record until it returns false. The record is one object, filled anew. */
  forEachRecord(record: ConsumedRecord, visit: (record: ConsumedRecord) => boolean): void {
    const size: Varint = { value: 0, next: 0 };
    for (const { no, data } of this.#fields) {
      if (no !== RECORDS) continue;
      readVarint(data, 0, size);
      record.decode(data, size.next, data.length);
      if (!visit(record)) return;
    }
  }

  #number(wanted: number): number {
    const field = this.#fields.find(({ no }) => no === wanted);
    const found: Varint = { value: 0, next: 0 };
    if (field !== undefined) readVarint(field.data, 0, found);
    return found.value;
  }
}

/**
 * Reads a topic from `offset` on. Without an end it goes on at the last
 * `resume_offset` after everything that may pass: a restart of the server, a lost
 * connection; with an end a few times only. The first connection must succeed, so that
 * a wrong address fails.
 *
 * @throws what the call throws when it cannot go on; the signal's reason on abort.
 */
export async function* read(options: ReadOptions): AsyncGenerator<ReadMessage> {
  let offset = options.offset;
  let wasAnswered = false;
  let isLost = false;
  let delayMs = RECONNECT_MS_MIN;
  let tries = 0;
  for (;;) {
    try {
      for await (const message of readOnce(options, offset)) {
        offset = message.resumeOffset;
        if (isLost) options.onResumed?.(offset);
        isLost = false;
        wasAnswered = true;
        delayMs = RECONNECT_MS_MIN;
        tries = 0;
        yield message;
      }
      if (options.endOffset !== undefined) return;
    } catch (thrown) {
      options.signal.throwIfAborted();
      const failure = failureOf(thrown);
      tries += 1;
      const isOften = options.endOffset !== undefined && tries > (options.triesMax ?? 0);
      if (isOften || !wasAnswered || !failure.isRetryable) throw thrown;
      if (!isLost) options.onLost?.(failure);
      isLost = true;
    }
    await pause(options.clock, delayMs, options.signal);
    delayMs = Math.min(delayMs * 2, RECONNECT_MS_MAX);
  }
}

/** One stream, until it ends, fails, or says nothing for too long. */
async function* readOnce(options: ReadOptions, offset: number): AsyncGenerator<ReadMessage> {
  const silence = new AbortController();
  const signal = AbortSignal.any([options.signal, silence.signal]);
  const stop = () => silence.abort(new Error("The server fell silent"));
  let cancel = options.clock.schedule(SILENCE_MS_MAX, stop);
  try {
    const response = await options.transport.stream(
      RAW_CONSUME_STREAM,
      signal,
      0,
      undefined,
      once(makeRequest(options, offset)),
      createContextValues(),
    );
    for await (const message of response.message) {
      cancel();
      yield new ReadMessage(message);
      cancel = options.clock.schedule(SILENCE_MS_MAX, stop);
    }
  } finally {
    cancel();
    silence.abort();
  }
}

function makeRequest(options: ReadOptions, offset: number) {
  return create(ConsumeStreamRequestSchema, {
    topic: options.topic,
    topicId: BigInt(options.topicId),
    start: { case: "offset", value: BigInt(offset) },
    heartbeatInterval: { seconds: BigInt(HEARTBEAT_MS / 1_000) },
    ...(options.endOffset === undefined ? {} : { endOffset: BigInt(options.endOffset) }),
  });
}

async function* once<T>(value: T): AsyncGenerator<T> {
  yield value;
}

/** Waits by the clock. @throws the signal's reason. */
export function pause(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const onAbort = () => {
      cancel();
      reject(signal.reason);
    };
    const cancel = clock.schedule(delayMs, () => {
      signal.removeEventListener("abort", onAbort);
      resolve();
    });
    signal.addEventListener("abort", onAbort, { once: true });
  });
}
