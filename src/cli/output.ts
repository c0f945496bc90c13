import { write } from "node:fs";
import { platformCode } from "../base/errors.ts";
import { stateOf } from "../server/platform-errors.ts";
import { CommandError } from "./errors.ts";

const BUFFER_BYTES = 256 * 1024;

/** How long to wait when a non-blocking descriptor takes no more. */
const RETRY_MS = 2;

/** The reader of standard output went away, as `head` does: nothing is wrong, nobody listens. */
export class OutputClosedError extends Error {
  override readonly name = "OutputClosedError";
}

/**
 * Gathers bytes for a descriptor. Nothing is written before {@link flush}: who
 * appends much flushes now and then, and waits for it, so that a slow reader
 * slows the writer and never fills its memory.
 *
 * Not `process.stdout`: that one writes pipes synchronously on some runtimes
 * and gathers without a limit on others. Writes of the thread pool behave alike
 * on all of them and leave the event loop free.
 */
export class Output {
  readonly #descriptor: number;
  #buffer: Buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  #used = 0;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  /** Bytes gathered and not yet written. */
  get pendingBytes(): number {
    return this.#used;
  }

  append(source: Uint8Array, start = 0, end = source.length): void {
    this.#reserve(end - start);
    this.#buffer.set(
      start === 0 && end === source.length ? source : source.subarray(start, end),
      this.#used,
    );
    this.#used += end - start;
  }

  appendByte(byte: number): void {
    this.#reserve(1);
    this.#buffer[this.#used] = byte;
    this.#used += 1;
  }

  appendText(text: string): void {
    // UTF-8 takes at most three bytes for each of a string's units.
    this.#reserve(text.length * 3);
    this.#used += this.#buffer.write(text, this.#used);
  }

  appendLine(text: string): void {
    this.appendText(text);
    this.appendByte(10);
  }

  /** Resolves when everything so far was handed to the descriptor. @throws {OutputClosedError}, {@link CommandError} */
  async flush(): Promise<void> {
    const bytes = this.#buffer.subarray(0, this.#used);
    this.#used = 0;
    let at = 0;
    while (at < bytes.length) {
      try {
        at += await writeSome(this.#descriptor, bytes.subarray(at));
      } catch (cause) {
        const code = platformCode(cause);
        if (code === "EPIPE" || code === "ECONNRESET") throw new OutputClosedError();
        if (code !== "EAGAIN") {
          throw new CommandError(`Cannot write standard output: ${stateOf(cause)}`, { cause });
        }
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }

  #reserve(count: number): void {
    if (this.#used + count <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#used + count));
    grown.set(this.#buffer.subarray(0, this.#used));
    this.#buffer = grown;
  }
}

function writeSome(descriptor: number, bytes: Uint8Array): Promise<number> {
  return new Promise((resolve, reject) => {
    write(descriptor, bytes, 0, bytes.length, undefined, (error, written) => {
      if (error) reject(error);
      else resolve(written);
    });
  });
}
