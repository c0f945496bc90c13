import type { Protocol } from "./call.ts";
import { fieldError } from "./fields.ts";

/** Longer ones are as good as none, and more than a timer can hold. */
const DEADLINE_MS_MAX = 2 ** 31 - 1;

const GRPC_UNITS_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

/** The header in which each protocol says how long a call may take. */
export const DEADLINE_HEADERS = {
  connect: "connect-timeout-ms",
  grpc: "grpc-timeout",
  "grpc-web": "grpc-timeout",
} as const satisfies Record<Protocol, string>;

/**
 * Milliseconds that a call may take; undefined when it may take for ever.
 * @throws FIELD_INVALID when the header is not what its protocol says
 */
export function readDeadline(protocol: Protocol, header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  const deadlineMs = protocol === "connect" ? readConnect(header) : readGrpc(header);
  if (deadlineMs === undefined) {
    throw fieldError(DEADLINE_HEADERS[protocol], `"${header.slice(0, 40)}" is no time-out`);
  }
  return deadlineMs > DEADLINE_MS_MAX ? undefined : deadlineMs;
}

/** Up to ten digits: milliseconds. */
function readConnect(header: string): number | undefined {
  return /^\d{1,10}$/.test(header) ? Number(header) : undefined;
}

/** Up to eight digits and a unit. */
function readGrpc(header: string): number | undefined {
  const [, digits, unit] = /^(\d{1,8})([HMSmun])$/.exec(header) ?? [];
  const unitMs = GRPC_UNITS_MS[unit ?? ""];
  return unitMs === undefined ? undefined : Number(digits) * unitMs;
}
