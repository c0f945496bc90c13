const LINE_FEED = 10;

/** Takes a line: `bytes[start, end)`, without its line feed. Only valid until it returns. */
export type LineSink = (bytes: Uint8Array, start: number, end: number) => Promise<void> | undefined;

/** A line longer than this is not gathered: a record can never be so large. */
const LINE_BYTES_MAX = 100 * 2 ** 20;

/** A line is over the limit; `line` counts from 1. */
export class LineTooLongError extends Error {
  override readonly name = "LineTooLongError";
  readonly line: number;

  constructor(line: number) {
    super(`Line ${line} is longer than ${LINE_BYTES_MAX} bytes, the largest record there can be`);
    this.line = line;
  }
}

/**
 * Cuts a stream of bytes at its line feeds. Bytes stay bytes: a carriage return,
 * a zero or broken UTF-8 is as good as any other.
 *
 * The sink is waited for only when it returns a promise, so that most lines cost
 * no turn of the event loop.
 */
export class LineSplitter {
  readonly #sink: LineSink;
  /** The beginning of a line whose end has not come yet. */
  #parts: Uint8Array[] = [];
  #partBytes = 0;
  #lineCount = 0;

  constructor(sink: LineSink) {
    this.#sink = sink;
  }

  async push(chunk: Buffer): Promise<void> {
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(LINE_FEED, start);
      if (end < 0) break;
      const wait =
        this.#partBytes > 0 ? this.#emitJoined(chunk, end) : this.#emit(chunk, start, end);
      if (wait !== undefined) await wait;
      start = end + 1;
    }
    if (start === chunk.length) return;
    // A copy: the reader may use its buffer again.
    this.#parts.push(Uint8Array.from(chunk.subarray(start)));
    this.#partBytes += chunk.length - start;
    if (this.#partBytes > LINE_BYTES_MAX) throw new LineTooLongError(this.#lineCount + 1);
  }

  /** The input ended: a last line without a line feed counts too. */
  async end(): Promise<void> {
    if (this.#partBytes > 0) await this.#emitJoined(Buffer.alloc(0), 0);
  }

  #emit(bytes: Uint8Array, start: number, end: number): Promise<void> | undefined {
    this.#lineCount += 1;
    return this.#sink(bytes, start, end);
  }

  #emitJoined(chunk: Buffer, end: number): Promise<void> | undefined {
    const line = Buffer.concat([...this.#parts, chunk.subarray(0, end)]);
    this.#parts = [];
    this.#partBytes = 0;
    return this.#emit(line, 0, line.length);
  }
}
