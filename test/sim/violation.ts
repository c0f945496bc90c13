/** Something that must never be, found by a check. Its text says what, where and when. */
export class Violation extends Error {
  override readonly name = "Violation";
}

/** Where all checks of a run put what they find; a run goes on, since the first one may be a consequence. */
export class Violations {
  readonly #now: () => number;
  readonly #found: string[] = [];

  /** @param now simulated milliseconds */
  constructor(now: () => number) {
    this.#now = now;
  }

  get found(): readonly string[] {
    return this.#found;
  }

  report(text: string): void {
    this.#found.push(`${this.#now().toFixed(1)} ms: ${text}`);
  }

  /** Reports `text` unless the condition holds. @returns the condition */
  expect(condition: boolean, text: () => string): boolean {
    if (!condition) this.report(text());
    return condition;
  }
}
