const US_PER_MS = 1_000;
const US_PER_SECOND = 1_000_000;

const RFC_3339 =
  /^(\d{4}-\d{2}-\d{2})(?:[Tt ](\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?([Zz]|[+-]\d{2}:\d{2}))?$/;

/**
 * Microseconds since 1970 of an RFC 3339 time, a date (midnight UTC), or seconds
 * since 1970 such as `1764072000.5`; undefined when it is none of these.
 */
export function parseTime(text: string): number | undefined {
  const seconds = /^(\d{1,11})(?:\.(\d{1,9}))?$/.exec(text);
  if (seconds !== null) return Number(seconds[1]) * US_PER_SECOND + fraction(seconds[2]);
  const found = RFC_3339.exec(text);
  if (found === null) return undefined;
  const [, day, time = "00:00:00", digits, zone = "Z"] = found;
  const ms = Date.parse(`${day}T${time}${zone.toUpperCase()}`);
  if (Number.isNaN(ms) || ms < 0) return undefined;
  return ms * US_PER_MS + fraction(digits);
}

/** RFC 3339 in UTC with microseconds. */
export function printTime(timeUs: number): string {
  const seconds = Math.floor(timeUs / US_PER_SECOND);
  const iso = new Date(seconds * 1_000).toISOString().slice(0, 19);
  return `${iso}.${String(timeUs - seconds * US_PER_SECOND).padStart(6, "0")}Z`;
}

/** Digits after the point as microseconds. */
function fraction(digits = ""): number {
  return Number(digits.padEnd(6, "0").slice(0, 6));
}
