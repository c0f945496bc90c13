import { MIB } from "../base/units.ts";
import type { Call } from "./call.ts";

/** Bytes of commands that share an entry, as their callers count them; a single command may have more. */
const SHARED_BYTES_MAX = MIB;

/** Calls whose turn has come and that will share the next entry. */
export class Gathered<O, C> {
  #calls: Call<O, C>[] = [];
  #bytes = 0;

  get isEmpty(): boolean {
    return this.#calls.length === 0;
  }

  /** False when the entry is full: {@link take} what is there first. */
  hasRoomFor(call: Call<O, C>): boolean {
    return this.isEmpty || this.#bytes + call.bytes <= SHARED_BYTES_MAX;
  }

  add(call: Call<O, C>): void {
    this.#calls.push(call);
    this.#bytes += call.bytes;
  }

  /** All of them, in the order in which they came; also those that were given up. */
  take(): readonly Call<O, C>[] {
    const calls = this.#calls;
    this.#calls = [];
    this.#bytes = 0;
    return calls;
  }
}

export function bytesOf(calls: readonly { readonly bytes: number }[]): number {
  let sum = 0;
  for (const { bytes } of calls) sum += bytes;
  return sum;
}
