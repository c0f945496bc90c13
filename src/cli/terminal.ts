import { writeSync } from "node:fs";

const CLEAR_LINE = "\r\u001b[K";

/** Standard error: lines for the person, and one that is written over and over. */
export class Terminal {
  readonly #isTerminal: boolean;
  #hasProgress = false;

  constructor(isTerminal: boolean) {
    this.#isTerminal = isTerminal;
  }

  say(line: string): void {
    const text = line
      .split("\n")
      .map((part, place) => (place === 0 ? `proglog: ${part}` : `  ${part}`))
      .join("\n");
    this.raw(`${text}\n`);
  }

  /** A text as it is, without the program's name before it. */
  raw(text: string): void {
    write(`${this.#hasProgress ? CLEAR_LINE : ""}${text}`);
    this.#hasProgress = false;
  }

  progress(line: string): void {
    if (!this.#isTerminal) return;
    if (line === "" && !this.#hasProgress) return;
    write(`${CLEAR_LINE}${line}`);
    this.#hasProgress = line !== "";
  }
}

/** Synchronous and small: what is said just before the process ends is not lost. */
function write(text: string): void {
  try {
    writeSync(2, text);
  } catch {
    // Closed, or full and non-blocking: there is no other place to complain.
  }
}
