import { hasReason } from "../base/errors.ts";
import { toOffset } from "../base/units.ts";
import type { Log } from "../storage/log.ts";
import type { CommandContext } from "./context.ts";
import { CommandError } from "./errors.ts";

/** Records that are tried one by one behind a damaged one; then the next segment is. */
const TRIED_MAX = 10_000;

/** What of a log could not be read, and where reading can go on. */
export class DamageLog {
  /** The record that is being read. */
  at = 0;
  readonly #log: Log;
  readonly #end: number;
  readonly #missing: { readonly from: number; readonly to: number }[] = [];
  #reason: unknown;

  /** @param end offset before which to stop */
  constructor(log: Log, end: number) {
    this.#log = log;
    this.#end = end;
  }

  /**
   * Notes that the record {@link at} could not be read.
   * @returns where the next one that can is; undefined when there is none or none is wanted
   */
  async met(reason: unknown, skips: boolean): Promise<number | undefined> {
    if (!skips || !hasReason(reason, "STORE_CORRUPT")) {
      this.#reason = reason;
      return undefined;
    }
    const next = (await this.#nextReadable(this.at + 1)) ?? this.#end;
    this.#missing.push({ from: this.at, to: next - 1 });
    return next;
  }

  /** @throws what ended the reading; CommandError when records were passed over */
  report(context: CommandContext): void {
    if (this.#reason !== undefined) throw this.#reason;
    for (const { from, to } of this.#missing) {
      context.say(`Missing: the records from offset ${from} to ${to} are damaged`);
    }
    const count = this.#missing.reduce((sum, { from, to }) => sum + to - from + 1, 0);
    if (count > 0) throw new CommandError(`Cannot import ${count} records: they are damaged`);
  }

  async #nextReadable(from: number): Promise<number | undefined> {
    const until = Math.min(this.#end, from + TRIED_MAX);
    for (let offset = from; offset < until; offset += 1) {
      if (await this.#isReadable(offset)) return offset;
    }
    for (const { base } of this.#log.segments()) {
      if (base >= until && base < this.#end && (await this.#isReadable(base))) return base;
    }
    return undefined;
  }

  async #isReadable(offset: number): Promise<boolean> {
    try {
      await this.#log.read(toOffset(offset));
      return true;
    } catch (error) {
      if (hasReason(error, "STORE_CORRUPT") || hasReason(error, "OFFSET_OUT_OF_RANGE"))
        return false;
      throw error;
    }
  }
}
