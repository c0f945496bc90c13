/** So many readers may go on where they ended without a look into the index. */
const PLACES_MAX = 64;

/** Where records begin in a store, for those that were read up to them. Each is asked for once. */
export class KnownPlaces {
  readonly #positions = new Map<number, number>();

  /** The oldest is forgotten when there are too many. */
  put(record: number, position: number): void {
    this.#positions.set(record, position);
    if (this.#positions.size <= PLACES_MAX) return;
    for (const oldest of this.#positions.keys()) {
      this.#positions.delete(oldest);
      return;
    }
  }

  clear(): void {
    this.#positions.clear();
  }

  take(record: number): number | undefined {
    const position = this.#positions.get(record);
    if (position !== undefined) this.#positions.delete(record);
    return position;
  }
}
