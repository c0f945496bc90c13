interface Staged {
  readonly term: number;
  readonly payload: Uint8Array;
}

/** Payloads that came with append messages, until the core says which of the entries it takes. */
export class StagedPayloads {
  readonly #byIndex = new Map<number, Staged>();

  /** True when another entry of that index is here: the core has to decide about it first. */
  hasOther(index: number, term: number): boolean {
    const staged = this.#byIndex.get(index);
    return staged !== undefined && staged.term !== term;
  }

  add(index: number, term: number, payload: Uint8Array): void {
    this.#byIndex.set(index, { term, payload });
  }

  take(index: number, term: number): Uint8Array | undefined {
    const staged = this.#byIndex.get(index);
    return staged?.term === term ? staged.payload : undefined;
  }

  clear(): void {
    if (this.#byIndex.size > 0) this.#byIndex.clear();
  }
}
