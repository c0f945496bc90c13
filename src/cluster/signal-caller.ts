import { type Abortable, onAbort } from "../base/abortable.ts";
import { ProglogError } from "../base/errors.ts";

/** One that waits until the node stops. */
export function callerOf(signal: AbortSignal): Abortable {
  const stopping = new ProglogError("DRAINING", "The server is stopping");
  return {
    get reason() {
      return signal.aborted ? stopping : undefined;
    },
    whenAborted: (listener) => onAbort(signal, listener),
  };
}
