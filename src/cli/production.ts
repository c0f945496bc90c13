import { randomUUID } from "node:crypto";
import { BatchEncoder, encodedBytes } from "../client/batch-encoder.ts";
import { encodeFrame, type RecordFrame, type RecordMeta } from "../client/record-parts.ts";
import { WriteError, Writer, type WriterOptions } from "../client/writer.ts";
import { SystemClock } from "../platform/system-clock.ts";
import { ENVELOPE_BYTES_MAX } from "../storage/envelope.ts";
import type { CommandInput } from "./command.ts";
import type { CommandContext } from "./context.ts";
import { CommandError } from "./errors.ts";
import { exitCodeOf, withFix } from "./failures.ts";
import type { InputBytes } from "./input.ts";
import { JsonRecordError, parseJsonRecord } from "./json-records.ts";
import { LineSplitter, LineTooLongError } from "./line-splitter.ts";
import { LossReport, type ServerConnection } from "./server-connection.ts";

/** With fewer batches under way one goes out without being full: input may be slow. */
const EAGER_BATCHES = 2;

/** A record that the server would refuse. Nothing of it or after it was sent. */
class RecordTooLargeError extends Error {
  override readonly name = "RecordTooLargeError";

  constructor(recordBytes: number, recordBytesMax: number) {
    super(
      `it takes ${recordBytes} bytes with key and headers, the topic takes at most ${recordBytesMax}`,
    );
  }
}

/** A line that is no record, or none that can be appended. */
type LineError = JsonRecordError | LineTooLongError | RecordTooLargeError;

function isAboutLine(thrown: unknown): thrown is LineError {
  return (
    thrown instanceof JsonRecordError ||
    thrown instanceof LineTooLongError ||
    thrown instanceof RecordTooLargeError
  );
}

interface ProductionOptions {
  readonly server: ServerConnection;
  /** Key and headers of every record, when lines are values. */
  readonly meta: RecordMeta;
  readonly isJson: boolean;
  readonly limits: { readonly recordsMax: number; readonly bytesMax: number };
  /** With a producer: how long to try again. */
  readonly retryMs: number;
}

/** One run of `produce`: lines in, batches out. A line is a record, so they are counted alike. */
export class Production {
  readonly #topic: string;
  readonly #serverName: string;
  readonly #isJson: boolean;
  readonly #frame: RecordFrame;
  readonly #writer: Writer;
  readonly #encoder: BatchEncoder;
  readonly #context: CommandContext;
  readonly #isIdempotent: boolean;
  /** Largest encoded record that the topic takes. */
  readonly #recordBytesMax: number;
  #input: InputBytes | undefined;

  private constructor(
    input: CommandInput,
    context: CommandContext,
    options: ProductionOptions &
      Pick<WriterOptions, "topicId" | "producer"> & { readonly recordBytesMax: number },
  ) {
    const { server } = options;
    const topic = input.argument("TOPIC");
    this.#encoder = new BatchEncoder(options.limits);
    this.#recordBytesMax = options.recordBytesMax;
    this.#topic = topic;
    this.#context = context;
    this.#serverName = server.names.join(", ");
    this.#isJson = options.isJson;
    this.#frame = encodeFrame(options.meta);
    this.#isIdempotent = options.producer !== undefined;
    const report = new LossReport(server, context);
    this.#writer = new Writer({
      topic,
      topicId: options.topicId,
      retryMs: options.retryMs,
      ...(options.producer === undefined ? {} : { producer: options.producer }),
      transport: server.transport,
      clock: new SystemClock(),
      // An interrupt ends the input; what was read is still sent and acknowledged.
      signal: new AbortController().signal,
      onLost: (failure) => report.lost(failure),
      onResumed: () => report.resumed(),
      onFailed: () => this.#input?.close(),
    });
  }

  /** Looks the topic up first, so that a wrong name fails before anything is read. */
  static async open(
    input: CommandInput,
    context: CommandContext,
    options: ProductionOptions,
  ): Promise<Production> {
    const { log, topics, callOptions } = options.server;
    const topic = input.argument("TOPIC");
    const { topic: found } = await topics.getTopic({ topic }, callOptions);
    const topicId = Number(found?.id ?? 0n);
    const max = found?.effectiveSettings?.maxRecordBytes;
    const recordBytesMax = max === undefined ? Number.POSITIVE_INFINITY : max - ENVELOPE_BYTES_MAX;
    const known = { ...options, topicId, recordBytesMax };
    const id = input.value("producer-id") ?? idForSeveral(options.server);
    if (id === undefined) return new Production(input, context, known);
    const opened = await log.openProducer({ topic, producerId: id }, callOptions);
    const producer = { id, epoch: Number(opened.epoch), inFlightMax: opened.maxInFlight };
    return new Production(input, context, { ...known, producer });
  }

  /** Resolves when every line that was read is acknowledged. @throws {CommandError} */
  async run(input: InputBytes): Promise<void> {
    this.#input = input;
    try {
      await this.#pump(input);
    } catch (thrown) {
      if (isAboutLine(thrown)) {
        throw await this.#explainLine(thrown, input.name);
      }
      if (thrown instanceof WriteError) throw this.#explainWrite(thrown, input.name);
      throw thrown;
    }
  }

  /** For the terminal, while it runs. */
  progress(): string {
    return `${this.#writer.summary.records} records acknowledged`;
  }

  /** What was acknowledged. */
  summary(): string {
    const { records, firstOffset, lastOffset } = this.#writer.summary;
    const what = `Produced ${records} ${records === 1 ? "record" : "records"} to ${this.#topic}`;
    if (firstOffset === undefined) return what;
    if (records === 1) return `${what}, offset ${firstOffset}`;
    const isDense = lastOffset - firstOffset + 1 === records;
    const others = isDense ? "" : ", those of others between";
    return `${what}, offsets ${firstOffset}-${lastOffset}${others}`;
  }

  async #pump(input: InputBytes): Promise<void> {
    const splitter = new LineSplitter((bytes, start, end) => this.#addLine(bytes, start, end));
    for await (const chunk of input.chunks) {
      await splitter.push(chunk);
      if (this.#writer.inFlight < EAGER_BATCHES) await this.#sendGathered();
    }
    // After an interrupt the last line may be half a line.
    if (!this.#context.interrupted.aborted) await splitter.end();
    await this.#sendGathered();
    await this.#writer.finish();
  }

  #addLine(bytes: Uint8Array, start: number, end: number): Promise<void> | undefined {
    if (!this.#isJson) return this.#add(this.#frame, bytes, start, end);
    const record = parseJsonRecord(bytes.subarray(start, end));
    return this.#add(encodeFrame(record), record.value, 0, record.value.length);
  }

  #add(
    frame: RecordFrame,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): Promise<void> | undefined {
    const recordBytes = encodedBytes(frame, end - start);
    if (recordBytes > this.#recordBytesMax) {
      throw new RecordTooLargeError(recordBytes, this.#recordBytesMax);
    }
    if (this.#encoder.add(frame, bytes, start, end)) return undefined;
    return this.#sendGathered().then(() => {
      this.#encoder.add(frame, bytes, start, end);
    });
  }

  async #sendGathered(): Promise<void> {
    if (this.#encoder.recordCount > 0) await this.#writer.send(this.#encoder.take());
  }

  /** The lines before the bad one are good: append them, so that the user can go on after it. */
  async #explainLine(thrown: LineError, inputName: string): Promise<CommandError> {
    const line = this.#writer.recordCount + this.#encoder.recordCount + 1;
    await this.#sendGathered();
    await this.#writer.finish();
    const what = thrown instanceof RecordTooLargeError ? "append" : "read";
    const message = `Cannot ${what} line ${line} of ${inputName}: ${thrown.message}`;
    const reason = thrown instanceof RecordTooLargeError ? "RECORD_TOO_LARGE" : undefined;
    const lines = [...withFix(message, reason), this.summary()];
    return new CommandError(lines.join("\n"), { cause: thrown });
  }

  #explainWrite(thrown: WriteError, inputName: string): CommandError {
    const { failure, refused, unknown } = thrown;
    const isServer = failure.reason !== undefined;
    const what =
      refused === undefined
        ? `Cannot produce to ${this.#topic} at ${this.#serverName}`
        : `Cannot append ${refusedLines(refused, failure.metadata)} of ${inputName}`;
    const message = `${what}: ${failure.message}`;
    const lines = [...(isServer ? withFix(message, failure.reason) : [message])];
    if (unknown !== undefined) {
      lines.push(`${nameLines(unknown)} may have been appended or not: there was no answer`);
      if (!this.#isIdempotent) lines.push("With --producer-id they could be sent again safely");
    }
    if (failure.reason === "BATCH_TOO_LARGE" || failure.reason === "REQUEST_TOO_LARGE") {
      lines.push("Try a smaller --batch-records or --batch-bytes");
    }
    lines.push(this.summary());
    return new CommandError(lines.join("\n"), { exitCode: exitCodeOf(failure), cause: thrown });
  }
}

/**
 * Who names several servers wants to go on at the next one when one is gone. What is sent again
 * there must not be appended twice, which takes a producer: one of this run's own.
 */
function idForSeveral({ names }: ServerConnection): string | undefined {
  return names.length > 1 ? `proglog-cli-${randomUUID()}` : undefined;
}

/** The one line when the server said which record it was, else the lines of the batch. */
function refusedLines(
  batch: { readonly first: number; readonly count: number },
  metadata: Readonly<Record<string, string>>,
): string {
  const record = Number(metadata["recordNumber"]);
  const isKnown = Number.isSafeInteger(record) && record >= 0 && record < batch.count;
  return isKnown
    ? nameLines({ first: batch.first + record, count: 1 }).toLowerCase()
    : nameLines(batch).toLowerCase();
}

/** Lines count from 1 where records count from 0. */
function nameLines({ first, count }: { readonly first: number; readonly count: number }): string {
  return count === 1 ? `Line ${first + 1}` : `Lines ${first + 1}-${first + count}`;
}
