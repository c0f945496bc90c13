import { duration } from "../server/setting-types.ts";
import { type CommandInput, UsageError } from "./command.ts";

const DURATION = duration({ min: 0, max: 24 * 3_600_000 });

/** A flag's duration in milliseconds; undefined when it was not given. @throws {UsageError} */
export function parseDuration(input: CommandInput, flag: string): number | undefined {
  const text = input.value(flag);
  if (text === undefined) return undefined;
  try {
    return DURATION.parse(text);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new UsageError(`Cannot read --${flag}: ${cause.message}`);
  }
}
