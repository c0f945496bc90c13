/** Runs one thing after the other, in the order in which they were asked for. */
export class Serial {
  #last: Promise<unknown> = Promise.resolve();

  /** Settles as `work` does. A rejection does not stop what comes after it. */
  run<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => undefined);
    return result;
  }

  /** Resolves when all that was asked for so far has ended. */
  async idle(): Promise<void> {
    await this.#last;
  }
}

/** Says whether something has changes that a sync has not yet covered, and syncs it once for all who ask. */
export class Dirty {
  readonly #turns = new Serial();
  #isDirty = false;
  #failed: { readonly error: unknown } | undefined;

  /** To be called when a change has been made, not before: a sync covers only what is there. */
  mark(): void {
    this.#isDirty = true;
  }

  /**
   * Resolves when every change marked before the call is synced. After a sync has
   * failed it rejects for good: the kernel may have dropped the data, and a second
   * sync would not tell.
   */
  clean(sync: () => Promise<void>): Promise<void> {
    return this.#turns.run(async () => {
      if (this.#failed !== undefined) throw this.#failed.error;
      if (!this.#isDirty) return;
      this.#isDirty = false;
      try {
        await sync();
      } catch (error) {
        this.#failed = { error };
        throw error;
      }
    });
  }
}
