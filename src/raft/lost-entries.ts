/** An entry that was proposed here and that another leader's entry has taken the place of, for now. */
export interface LostEntry<W> {
  readonly index: number;
  readonly term: number;
  readonly waiting: W;
}

/**
 * Entries of which nobody knows yet what becomes of them: that they are gone from this log says nothing. Only
 * what is applied at their index does: another leader may still bring them back.
 */
export class LostEntries<W> {
  readonly #byIndex = new Map<number, LostEntry<W>[]>();

  get isEmpty(): boolean {
    return this.#byIndex.size === 0;
  }

  add(entry: LostEntry<W>): void {
    const others = this.#byIndex.get(entry.index);
    if (others === undefined) this.#byIndex.set(entry.index, [entry]);
    else others.push(entry);
  }

  /** Takes those of that index. */
  takeAt(index: number): readonly LostEntry<W>[] {
    if (this.#byIndex.size === 0) return [];
    const found = this.#byIndex.get(index) ?? [];
    this.#byIndex.delete(index);
    return found;
  }

  /** Takes those up to that index. */
  takeThrough(index: number): readonly LostEntry<W>[] {
    return this.#take((at) => at <= index);
  }

  takeAll(): readonly LostEntry<W>[] {
    return this.#take(() => true);
  }

  #take(isWanted: (index: number) => boolean): readonly LostEntry<W>[] {
    const found: LostEntry<W>[] = [];
    for (const [index, entries] of this.#byIndex) {
      if (!isWanted(index)) continue;
      this.#byIndex.delete(index);
      found.push(...entries);
    }
    return found;
  }
}
