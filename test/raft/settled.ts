import { settle } from "../support/sim-clock.ts";

/** What a promise came to, once nothing moves any more. */
export async function settled(promise: Promise<unknown>): Promise<string> {
  let state = "waits";
  promise.then(
    (value) => {
      state = `${value}`;
    },
    (error) => {
      const outcome = error.metadata?.outcome;
      state = `${error.reason ?? error}${outcome === undefined ? "" : ` ${outcome}`}`;
    },
  );
  await settle();
  return state;
}
