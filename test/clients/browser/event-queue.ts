/** What events bring, to be read one by one. */
export class EventQueue<T> implements AsyncIterable<T> {
  readonly #items: T[] = [];
  #isOver = false;
  #error: unknown;
  #wake: () => void = () => {};

  push(item: T): void {
    this.#items.push(item);
    this.#wake();
  }

  /** Nothing comes any more. Of this and {@link fail} the first counts. */
  end(): void {
    this.#isOver = true;
    this.#wake();
  }

  fail(error: unknown): void {
    if (!this.#isOver) this.#error = error;
    this.end();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for (;;) {
      while (this.#items.length > 0) yield this.#items.shift() as T;
      if (this.#error !== undefined) throw this.#error;
      if (this.#isOver) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
