import type { Duration } from "@bufbuild/protobuf/wkt";
import { ProglogError } from "../base/errors.ts";

/**
 * Values of request fields as the layers below take them. A `field` is the path in
 * the proto file.
 */

export function fieldError(field: string, problem: string): ProglogError {
  return new ProglogError("FIELD_INVALID", `Cannot use ${field}: ${problem}`, {
    metadata: { field },
  });
}

/** Offsets, ids, epochs and the like stay below 2^53. @throws FIELD_INVALID */
export function toSafeInteger(value: bigint | number, field: string): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw fieldError(field, `it is ${value}, must be below 2^53`);
  }
  return Number(value);
}

/** The same where a larger value means no more than the largest. */
export function toClampedInteger(value: bigint): number {
  if (value < 0n) return 0;
  return value > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(value);
}

/** An id that is 0 when it was not given. */
export function toOptionalId(value: bigint | number, field: string): number | undefined {
  return toSafeInteger(value, field) || undefined;
}

/** A count where 0 means `fallback` and more than `max` means `max`. @throws FIELD_INVALID when negative */
export function toCount(
  value: number,
  { field, fallback, max }: { field: string; fallback: number; max: number },
): number {
  if (value < 0) throw fieldError(field, `it is ${value}, must be 0 or more`);
  return value === 0 ? fallback : Math.min(value, max);
}

/** Milliseconds, rounded up so that something is not taken for nothing. @throws FIELD_INVALID when negative */
export function toMilliseconds(duration: Duration, field: string): number {
  const { seconds, nanos } = duration;
  if (seconds < 0n || nanos < 0) throw fieldError(field, "it is negative, must be 0 or more");
  if (nanos > 999_999_999) throw fieldError(field, "its nanos are a second or more");
  return toSafeInteger(seconds, field) * 1000 + Math.ceil(nanos / 1_000_000);
}

/** An enum value that this server knows; others could ask for something it cannot do. @throws FIELD_INVALID */
export function checkEnum(value: number, known: Readonly<Record<string, number>>, field: string) {
  if (!Object.values(known).includes(value)) {
    throw fieldError(field, `this server does not know the value ${value}`);
  }
}

export function toDuration(milliseconds: number): { seconds: bigint; nanos: number } {
  const seconds = Math.floor(milliseconds / 1000);
  return { seconds: BigInt(seconds), nanos: (milliseconds - seconds * 1000) * 1_000_000 };
}

export function toTimestamp(timeUs: number): { seconds: bigint; nanos: number } {
  const seconds = Math.floor(timeUs / 1_000_000);
  return { seconds: BigInt(seconds), nanos: (timeUs - seconds * 1_000_000) * 1000 };
}
