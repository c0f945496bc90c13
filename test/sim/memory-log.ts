import type { CoreLog } from "../../src/raft/core.ts";

/** A durable log of which only terms are asked, after the virtual entry (1, 1). */
export class MemoryLog implements CoreLog {
  readonly #terms: readonly number[];

  /** @param terms of the entries from index 2 on */
  constructor(terms: readonly number[]) {
    this.#terms = terms;
  }

  firstIndex(): number {
    return 2;
  }

  lastIndex(): number {
    return this.#terms.length + 1;
  }

  termAt(index: number): number | undefined {
    return index === 1 ? 1 : this.#terms[index - 2];
  }

  entries(): undefined {
    return undefined;
  }

  snapshot(): undefined {
    return undefined;
  }
}
