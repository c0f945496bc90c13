import type { Turn } from "./admission.ts";

/** One who waits for the outcome of a proposal. */
export interface Call<O> {
  readonly bytes: number;
  readonly resolve: (outcome: O) => void;
  readonly reject: (error: unknown) => void;
  /** Set while its turn has not come. */
  turn: Turn | undefined;
  /** True from when its entry is in the journal's hands. */
  isProposed: boolean;
}

/** An entry that is proposed and not yet applied. */
export interface Pending<O> {
  readonly index: number;
  readonly payload: Uint8Array;
  readonly call: Call<O>;
  isJournalled: boolean;
}

/**
 * A call that has not got its turn; `giveUp` is called when `signal` aborts before the
 * call is settled.
 */
export function openCall<O>(
  call: Pick<Call<O>, "bytes" | "resolve" | "reject">,
  signal: AbortSignal | undefined,
  giveUp: (call: Call<O>, signal: AbortSignal) => void,
): Call<O> {
  const { bytes, resolve, reject } = call;
  if (signal === undefined) return { bytes, resolve, reject, turn: undefined, isProposed: false };
  const onAbort = () => giveUp(opened, signal);
  const unhook = () => signal.removeEventListener("abort", onAbort);
  const opened: Call<O> = {
    bytes,
    resolve: (outcome) => {
      unhook();
      resolve(outcome);
    },
    reject: (error) => {
      unhook();
      reject(error);
    },
    turn: undefined,
    isProposed: false,
  };
  signal.addEventListener("abort", onAbort);
  return opened;
}
