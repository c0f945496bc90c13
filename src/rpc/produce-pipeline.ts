import { type Abortable, onAbort } from "../base/abortable.ts";
import { ProglogError } from "../base/errors.ts";
import type { Acknowledgement } from "../topics/topics.ts";
import { Wakeup } from "./wakeup.ts";

/** A batch on its way. */
export interface Submitted {
  readonly answer: Promise<Acknowledgement>;
  readonly byteCount: number;
}

/** Batches that came together. */
export interface BatchSource<Batch> {
  /** The next one; undefined when there is none. May throw, which ends the input. */
  next(): Batch | undefined;
}

export interface PipelineOptions<Batch> {
  /** Starts a batch, in the order of the calls; throws, or its answer rejects, when it is refused. */
  readonly submit: (batch: Batch) => Submitted;
  readonly batchesMax: number;
  readonly bytesMax: number;
  /** Ends everything at once. What was submitted goes on, and nobody is told of it. */
  readonly call: Abortable;
  /** Take nothing more, answer what is under way, then end with its reason. */
  readonly draining: AbortSignal;
}

interface Entry {
  byteCount: number;
  answer: Acknowledgement | undefined;
  refusal: { readonly thrown: unknown } | undefined;
}

/**
 * The batches of one ProduceStream: many in flight, answered in the order sent.
 * One side takes them from the client, as long as there is room; the other gives
 * out the answers that are due together.
 */
export class ProducePipeline<Batch> {
  readonly #options: PipelineOptions<Batch>;
  /** Batches without an answer, in order. */
  readonly #entries: Entry[] = [];
  #bytes = 0;
  /** Batches that were answered: the number of the first entry. */
  #answered = 0;
  #isInputOver = false;
  #inputError: unknown;
  #isStopped = false;
  readonly #due = new Wakeup();
  readonly #room = new Wakeup();

  constructor(options: PipelineOptions<Batch>) {
    this.#options = options;
  }

  /** Answers to the batches of `messages`, as many at a time as are due. */
  async *run(messages: AsyncIterable<BatchSource<Batch>>): AsyncGenerator<Acknowledgement[]> {
    const { call, draining } = this.#options;
    const unsubscribe = [
      onAbort(draining, () => this.#stop()),
      call.whenAborted(() => this.#stop()),
    ];
    void this.#take(messages);
    try {
      for (;;) {
        if (call.reason !== undefined) throw this.#givenUp(call.reason);
        const due = this.#takeDue();
        if (due.length > 0) yield due;
        else if (this.#entries[0]?.refusal !== undefined) throw this.#entries[0].refusal.thrown;
        else if (this.#entries.length === 0 && this.#isOver()) return;
        else await this.#due.wait();
      }
    } finally {
      for (const end of unsubscribe) end();
      this.#stop();
    }
  }

  /** Batches that are under way may still be appended. */
  #givenUp(reason: ProglogError): unknown {
    const { metadata } = reason;
    const outcome = this.#entries.length > 0 ? { outcome: "unknown" } : {};
    const error = new ProglogError(reason.reason, reason.message, {
      metadata: { ...metadata, ...outcome },
      cause: reason,
    });
    return numbered(error, this.#answered);
  }

  /** @throws when the end is not the client's */
  #isOver(): boolean {
    if (this.#isInputOver) {
      if (this.#inputError !== undefined) throw this.#inputError;
      return true;
    }
    if (!this.#isStopped) return false;
    throw numbered(this.#options.draining.reason, this.#answered);
  }

  #takeDue(): Acknowledgement[] {
    const due: Acknowledgement[] = [];
    for (const { answer, byteCount } of this.#entries) {
      if (answer === undefined) break;
      due.push(answer);
      this.#bytes -= byteCount;
    }
    this.#entries.splice(0, due.length);
    this.#answered += due.length;
    if (due.length > 0) this.#room.wake();
    return due;
  }

  async #take(messages: AsyncIterable<BatchSource<Batch>>): Promise<void> {
    try {
      for await (const batches of messages) {
        for (let batch = batches.next(); batch !== undefined; batch = batches.next()) {
          while (!this.#hasRoom() && !this.#isStopped) await this.#room.wait();
          if (this.#isStopped) return;
          this.#start(batch);
        }
      }
      this.#isInputOver = true;
    } catch (thrown) {
      this.#isInputOver = true;
      this.#inputError = thrown;
    } finally {
      this.#due.wake();
    }
  }

  #hasRoom(): boolean {
    const { batchesMax, bytesMax } = this.#options;
    return this.#entries.length < batchesMax && this.#bytes < bytesMax;
  }

  #start(batch: Batch): void {
    const entry: Entry = { byteCount: 0, answer: undefined, refusal: undefined };
    const number = this.#answered + this.#entries.length;
    this.#entries.push(entry);
    const refuse = (thrown: unknown) => {
      entry.refusal = { thrown: numbered(thrown, number) };
      this.#stop();
    };
    try {
      const { answer, byteCount } = this.#options.submit(batch);
      entry.byteCount = byteCount;
      this.#bytes += byteCount;
      answer.then((found) => {
        entry.answer = found;
        this.#due.wake();
      }, refuse);
    } catch (thrown) {
      refuse(thrown);
    }
  }

  /** Takes no more batches; those under way are still answered. */
  #stop(): void {
    this.#isStopped = true;
    this.#room.wake();
    this.#due.wake();
  }
}

function numbered(thrown: unknown, batchNumber: number): unknown {
  if (!(thrown instanceof ProglogError)) return thrown;
  return new ProglogError(thrown.reason, thrown.message, {
    metadata: { ...thrown.metadata, batchNumber: `${batchNumber}` },
    cause: thrown,
  });
}
