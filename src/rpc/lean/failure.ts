import { ConnectError } from "@connectrpc/connect";
import type { Call } from "../call.ts";
import type { ErrorMap } from "../error-map.ts";
import { tellOwnError } from "../handler-errors.ts";

/** What a client is told of an error; the call remembers it. */
export function toWireError(thrown: unknown, call: Call, errors: ErrorMap): ConnectError {
  if (thrown instanceof ConnectError) {
    tellOwnError(call, thrown);
    return thrown;
  }
  const error = errors.toProglogError(thrown, call.method, call);
  call.failed(error);
  return errors.encode(error);
}
