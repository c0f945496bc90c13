/** What is kept of the time until a deadline, so that there is some left to say what came of the call. */
export interface Margin {
  readonly msMax: number;
  readonly part: number;
}

/** @param leftMs until the deadline */
export function marginOf(leftMs: number, { msMax, part }: Margin): number {
  return Math.min(msMax, leftMs * part);
}
