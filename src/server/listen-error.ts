import { platformCode } from "../base/errors.ts";
import { type HostPort, printHostPort } from "./setting-types.ts";

/** The port could not be opened. Nothing was changed. */
export class ListenError extends Error {
  override readonly name = "ListenError";
}

const STATES: Readonly<Record<string, string>> = {
  EADDRINUSE: "another process listens there",
  EADDRNOTAVAIL: "this machine has no such address",
  EACCES: "this user may not use that port",
  ENOTFOUND: "there is no such host",
};

/** Names the address and what is wrong about it. */
export function listenError(address: HostPort, cause: unknown): ListenError {
  const code = platformCode(cause);
  const state =
    STATES[code ?? ""] ?? code ?? (cause instanceof Error ? cause.message : "no reason");
  return new ListenError(`Cannot listen on ${printHostPort(address)}: ${state}`, { cause });
}
