import { KIB, MIB } from "../base/units.ts";
import { duration, integer, type SettingType, size } from "../server/setting-types.ts";
import type { CommandInput } from "./command.ts";
import { UsageError } from "./errors.ts";

/** What the flags of commands can hold, as far as several share it. */
export const DURATION = duration({ min: 0, max: 24 * 3_600_000 });
export const BATCH_RECORDS = integer({ min: 1, max: 1_000_000 });
export const BATCH_BYTES = size({ min: KIB, max: 64 * MIB });

/** A flag's value; undefined when it was not given. @throws {UsageError} naming the flag */
export function flagValue<T>(
  input: CommandInput,
  flag: string,
  type: SettingType<T>,
): T | undefined {
  const text = input.value(flag);
  if (text === undefined) return undefined;
  try {
    return type.parse(text);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new UsageError(`Cannot read --${flag}: ${cause.message}`);
  }
}
