import { assert } from "../base/assert.ts";
import type { CoreLog } from "./core.ts";
import { CoreWriter } from "./core-codec.ts";
import { CORE_STATE_BYTES_MAX } from "./core-limits.ts";

/** Answers that are no length and no term, as `wasm/storage.go` knows them. */
const COMPACTED = -1;
const BEYOND = -2;

export type CoreLogLevel = "debug" | "info" | "warn" | "error";
/** In the order of the module's numbers. */
export const CORE_LOG_LEVELS: readonly CoreLogLevel[] = ["debug", "info", "warn", "error"];

/**
 * Answers what the module asks during a call, out of the logs of its groups.
 *
 * Nothing is thrown to the module: a JavaScript exception unwinds its stack without Go's
 * knowledge, which leaks memory and leaves locks. What a log throws is kept, the answer is
 * "compacted", and whoever made the call takes the error afterwards.
 */
export class WasmHost {
  readonly #logs = new Map<number, CoreLog>();
  readonly #errors = new Map<number, unknown>();
  readonly #memory: () => WebAssembly.Memory;
  readonly #line: (line: string, level: CoreLogLevel) => void;
  readonly #writer = new CoreWriter();

  constructor(memory: () => WebAssembly.Memory, line: (line: string, level: CoreLogLevel) => void) {
    this.#memory = memory;
    this.#line = line;
  }

  add(handle: number, log: CoreLog): void {
    this.#logs.set(handle, log);
  }

  delete(handle: number): void {
    this.#logs.delete(handle);
    this.#errors.delete(handle);
  }

  /** What the group's log threw since it was asked last; undefined: nothing. */
  takeError(handle: number): unknown {
    if (this.#errors.size === 0) return undefined;
    const error = this.#errors.get(handle);
    this.#errors.delete(handle);
    return error;
  }

  imports(): Record<string, object> {
    return {
      first_index: (handle: number) => this.#ask(handle, 0, (log) => checked(log.firstIndex())),
      last_index: (handle: number) => this.#ask(handle, 0, (log) => checked(log.lastIndex())),
      term: (handle: number, index: number) =>
        this.#ask(handle, COMPACTED, (log) => {
          const term = log.termAt(index);
          if (term !== undefined) return checked(term);
          return index + 1 < log.firstIndex() ? COMPACTED : BEYOND;
        }),
      entries: (
        handle: number,
        from: number,
        end: number,
        bytesMax: number,
        at: number,
        room: number,
      ) =>
        this.#ask(handle, COMPACTED, (log) => {
          const entries = log.entries(from, end, bytesMax);
          if (entries === undefined) return COMPACTED;
          const last = entries.at(-1)?.index ?? 0;
          assert(
            entries[0]?.index === from && last === from + entries.length - 1 && last < end,
            `The log gave ${entries.length} entries up to ${last} for [${from}, ${end})`,
          );
          return this.#write(this.#writer.reset().entries(entries).bytes, at, room);
        }),
      snapshot: (handle: number, at: number, room: number) =>
        this.#ask(handle, COMPACTED, (log) => {
          const snapshot = log.snapshot();
          if (snapshot === undefined) return COMPACTED;
          assert(
            snapshot.data.length <= CORE_STATE_BYTES_MAX,
            `The state is ${snapshot.data.length} bytes, at most ${CORE_STATE_BYTES_MAX} are allowed`,
          );
          return this.#write(this.#writer.reset().snapshot(snapshot).bytes, at, room);
        }),
      log: (level: number, at: number, size: number) => {
        const bytes = new Uint8Array(this.#memory().buffer, at >>> 0, size);
        try {
          this.#line(new TextDecoder().decode(bytes), CORE_LOG_LEVELS[level] ?? "error");
        } catch {
          // A line that cannot be written is no reason to stop a group.
        }
      },
    };
  }

  #ask(handle: number, otherwise: number, question: (log: CoreLog) => number): number {
    try {
      const log = this.#logs.get(handle);
      assert(log !== undefined, `The core asked for the log of group ${handle}, which is not open`);
      return question(log);
    } catch (error) {
      if (!this.#errors.has(handle)) this.#errors.set(handle, error);
      return otherwise;
    }
  }

  /** @returns how much it is, or negated how much room it needs */
  #write(bytes: Uint8Array, at: number, room: number): number {
    if (bytes.length > room) return -bytes.length;
    new Uint8Array(this.#memory().buffer, at >>> 0, room).set(bytes);
    return bytes.length;
  }
}

function checked(value: number): number {
  assert(Number.isSafeInteger(value) && value >= 0, `The log answered ${value}`);
  return value;
}
