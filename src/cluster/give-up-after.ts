import type { Abortable } from "../base/abortable.ts";
import type { Clock } from "../base/clock.ts";
import type { ProglogError } from "../base/errors.ts";

/** A caller that waits no longer than some time; `end` is to be called when it need not wait any more. */
export interface TimedCaller extends Abortable {
  end(): void;
}

/** The caller, which also gives up for `late` after `durationMs`. */
export function giveUpAfter(
  clock: Clock,
  durationMs: number,
  late: ProglogError,
  caller?: Abortable,
): TimedCaller {
  const listeners = new Set<() => void>();
  let reason: ProglogError | undefined;
  const cancel = clock.schedule(durationMs, () => {
    reason = late;
    for (const tell of [...listeners]) tell();
  });
  return {
    get reason() {
      return caller?.reason ?? reason;
    },
    whenAborted(listener) {
      if (reason !== undefined) listener();
      else listeners.add(listener);
      const unwatch = caller?.whenAborted(listener);
      return () => {
        listeners.delete(listener);
        unwatch?.();
      };
    },
    end: cancel,
  };
}
