import { UsageError } from "./errors.ts";
import { parseTime } from "./time.ts";

/** Where to begin to read. */
export type StartPlace =
  | { readonly at: "offset"; readonly offset: number }
  /** So many records before the end; 0 is the end. */
  | { readonly at: "last"; readonly count: number }
  | { readonly at: "time"; readonly timeUs: number }
  | { readonly at: "start" };

export const START_PLACES = "start|end|N|-N|@TIME";

/** Reads `start`, `end`, `N`, `-N` or `@TIME`. @throws {UsageError} */
export function parseStartPlace(text: string, flag: string): StartPlace {
  if (text === "start") return { at: "start" };
  if (text === "end") return { at: "last", count: 0 };
  const number = /^(-?)(\d{1,16})$/.exec(text);
  if (number !== null && Number.isSafeInteger(Number(number[2]))) {
    const value = Number(number[2]);
    return number[1] === "-" ? { at: "last", count: value } : { at: "offset", offset: value };
  }
  if (text.startsWith("@")) {
    const timeUs = parseTime(text.slice(1));
    if (timeUs !== undefined) return { at: "time", timeUs };
    throw new UsageError(
      `Cannot read ${flag}: "${text.slice(1)}" is not a time, write @2026-11-25T12:00:00Z or @1764072000`,
    );
  }
  throw new UsageError(
    `Cannot read ${flag}: "${text}" is not a place, write start, end, an offset, -N for the last N, or @TIME`,
  );
}
