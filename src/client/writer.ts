import { create } from "@bufbuild/protobuf";
import { type Empty, EmptySchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createContextValues, type Transport } from "@connectrpc/connect";
import type { Clock } from "../base/clock.ts";
import type { ProduceResponse } from "../gen/proglog/v1/log_service_pb.ts";
import { type EncodedBatch, encodeRequest, type ProducerStamp } from "./batch-encoder.ts";
import { type Failure, failureOf } from "./failure.ts";
import { RAW_PRODUCE_STREAM } from "./raw-methods.ts";
import { pause } from "./reader.ts";

const WIRE_SIZED = 2;
/** ProduceStreamRequest's `batches`. */
const BATCHES = 1;

/** Batches without an answer, unless the producer's own limit is lower. */
const IN_FLIGHT_MAX = 16;
/** Bytes without an answer; one batch may always be under way. */
const IN_FLIGHT_BYTES_MAX = 16 * 2 ** 20;

const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 2_000;

export interface WriterOptions {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly topic: string;
  readonly topicId: number;
  /** With a producer a lost batch is sent again, and appended once. */
  readonly producer?: { readonly id: string; readonly epoch: number; readonly inFlightMax: number };
  /** How long to try again, with a producer, before giving up. */
  readonly retryMs: number;
  readonly signal: AbortSignal;
  readonly onLost?: (failure: Failure) => void;
  readonly onResumed?: () => void;
  /** Told when the next {@link Writer.send} would reject, for those who wait for something else. */
  readonly onFailed?: () => void;
}

/** What was acknowledged so far. */
export interface WriteSummary {
  records: number;
  /** Undefined until something was acknowledged. */
  firstOffset: number | undefined;
  lastOffset: number;
}

/** Why writing stopped, and what became of the records. Records are counted from 0, as they were sent. */
export class WriteError extends Error {
  override readonly name = "WriteError";
  readonly failure: Failure;
  /** The batch that the server refused; undefined when the error is about none. */
  readonly refused: { readonly first: number; readonly count: number } | undefined;
  /** Records sent and neither acknowledged nor refused: each may have been appended, or not. */
  readonly unknown: { readonly first: number; readonly count: number } | undefined;

  constructor(
    failure: Failure,
    options: { refused?: WriteError["refused"]; unknown?: WriteError["unknown"]; cause: unknown },
  ) {
    super(failure.message, { cause: options.cause });
    this.failure = failure;
    this.refused = options.refused;
    this.unknown = options.unknown;
  }
}

interface Pending {
  readonly data: Uint8Array;
  readonly first: number;
  readonly count: number;
  /** It was handed to a stream, this one or an earlier one. */
  wasSent: boolean;
}

/** Appends batches to one topic, in order, several under way. */
export class Writer {
  readonly summary: WriteSummary = { records: 0, firstOffset: undefined, lastOffset: 0 };
  readonly #options: WriterOptions;
  readonly #inFlightMax: number;
  /** Sent or waiting to be sent, not answered, in order. */
  readonly #pending: Pending[] = [];
  #pendingBytes = 0;
  /** How many of the pending were handed to the stream that is open now. */
  #sentCount = 0;
  #recordCount = 0;
  #batchCount = 0;
  #isFinishing = false;
  #failure: WriteError | undefined;
  #running: Promise<void> | undefined;
  #waiters: (() => void)[] = [];

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#inFlightMax = Math.min(IN_FLIGHT_MAX, options.producer?.inFlightMax ?? IN_FLIGHT_MAX);
  }

  /** Batches without an answer. */
  get inFlight(): number {
    return this.#pending.length;
  }

  /** Records taken so far. */
  get recordCount(): number {
    return this.#recordCount;
  }

  /** Takes the batch and resolves when there is room for another. @throws {WriteError} */
  async send(batch: EncodedBatch): Promise<void> {
    this.#throwIfFailed();
    const { topic, topicId, producer } = this.#options;
    const stamp: ProducerStamp | undefined =
      producer === undefined ? undefined : { ...producer, sequence: this.#batchCount };
    const target = { topic, topicId, ...(stamp === undefined ? {} : { producer: stamp }) };
    const data = encodeRequest(batch, target);
    this.#pending.push({
      data,
      first: this.#recordCount,
      count: batch.recordCount,
      wasSent: false,
    });
    this.#pendingBytes += data.length;
    this.#recordCount += batch.recordCount;
    this.#batchCount += 1;
    this.#running ??= this.#run();
    this.#wake();
    while (!this.#hasRoom()) await this.#change();
    this.#throwIfFailed();
  }

  /** Resolves when everything was acknowledged. @throws {WriteError} */
  async finish(): Promise<WriteSummary> {
    this.#isFinishing = true;
    this.#wake();
    await this.#running;
    this.#throwIfFailed();
    return this.summary;
  }

  #hasRoom(): boolean {
    if (this.#failure !== undefined || this.#pending.length === 0) return true;
    return this.#pending.length < this.#inFlightMax && this.#pendingBytes < IN_FLIGHT_BYTES_MAX;
  }

  #throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** One stream after the other until all is answered. Never rejects: `#failure` says how it ended. */
  async #run(): Promise<void> {
    const { clock, producer, signal } = this.#options;
    let lostAt: number | undefined;
    let delayMs = RETRY_MS_MIN;
    for (;;) {
      const answeredBefore = this.summary.records;
      const thrown = await this.#runStream(lostAt !== undefined);
      if (thrown === undefined) return;
      const now = clock.monotonicMs();
      if (this.summary.records > answeredBefore) {
        lostAt = undefined;
        delayMs = RETRY_MS_MIN;
      }
      const failure = failureOf(thrown);
      if (this.#pending.length === 0 && (this.#isFinishing || failure.isRetryable)) {
        // Nothing is at stake: whoever sends next opens another stream.
        this.#running = undefined;
        return;
      }
      const isLate = lostAt !== undefined && now - lostAt > this.#options.retryMs;
      if (producer === undefined || !failure.isRetryable || isLate || signal.aborted) {
        return this.#fail(failure, thrown);
      }
      if (lostAt === undefined) this.#options.onLost?.(failure);
      lostAt ??= now;
      try {
        await pause(clock, delayMs, signal);
      } catch {
        return this.#fail(failure, thrown);
      }
      delayMs = Math.min(delayMs * 2, RETRY_MS_MAX);
    }
  }

  /** @returns what went wrong, or undefined when all is answered and none will follow. */
  async #runStream(wasLost: boolean): Promise<unknown> {
    const stream = { isOver: false };
    let isLost = wasLost;
    this.#sentCount = 0;
    try {
      const response = await this.#options.transport.stream(
        RAW_PRODUCE_STREAM,
        this.#options.signal,
        0,
        undefined,
        this.#messages(stream),
        createContextValues(),
      );
      for await (const { acknowledgements } of response.message) {
        for (const acknowledgement of acknowledgements) this.#answered(acknowledgement);
        if (isLost) this.#options.onResumed?.();
        isLost = false;
        this.#wake();
      }
      if (this.#pending.length === 0 && this.#isFinishing) return undefined;
      return new ConnectError("the server ended the stream", Code.Unavailable);
    } catch (thrown) {
      return thrown;
    } finally {
      stream.isOver = true;
      this.#wake();
    }
  }

  async *#messages(stream: { isOver: boolean }): AsyncGenerator<Empty> {
    while (!stream.isOver) {
      const next = this.#pending[this.#sentCount];
      if (next !== undefined) {
        this.#sentCount += 1;
        next.wasSent = true;
        const message = create(EmptySchema);
        message.$unknown = [{ no: BATCHES, wireType: WIRE_SIZED, data: next.data }];
        yield message;
      } else if (this.#isFinishing) {
        return;
      } else {
        await this.#change();
      }
    }
  }

  #answered(acknowledgement: ProduceResponse): void {
    const batch = this.#pending.shift();
    if (batch === undefined) return;
    this.#sentCount -= 1;
    this.#pendingBytes -= batch.data.length;
    this.summary.records += batch.count;
    this.summary.firstOffset ??= Number(acknowledgement.firstOffset);
    this.summary.lastOffset = Number(acknowledgement.lastOffset);
  }

  #fail(failure: Failure, cause: unknown): void {
    const [head, ...rest] = this.#pending;
    const isRefusal = failure.metadata["batchNumber"] !== undefined && head !== undefined;
    const unknown = (isRefusal ? rest : this.#pending).filter(({ wasSent }) => wasSent);
    const first = unknown[0]?.first;
    const count = unknown.reduce((sum, batch) => sum + batch.count, 0);
    this.#failure = new WriteError(failure, {
      cause,
      ...(isRefusal ? { refused: { first: head.first, count: head.count } } : {}),
      ...(first === undefined ? {} : { unknown: { first, count } }),
    });
    this.#options.onFailed?.();
    this.#wake();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiters.push(resolve);
    });
  }

  #wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }
}
