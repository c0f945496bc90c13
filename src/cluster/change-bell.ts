import type { Abortable } from "../base/abortable.ts";

/** Tells everybody who waits that something has changed, once for all changes of a turn. */
export class ChangeBell {
  readonly #waiters = new Set<() => void>();
  #rings = false;

  /** Something has changed. Cheap: called often. */
  ring(): void {
    if (this.#rings || this.#waiters.size === 0) return;
    this.#rings = true;
    queueMicrotask(() => {
      this.#rings = false;
      const waiters = [...this.#waiters];
      this.#waiters.clear();
      for (const wake of waiters) wake();
    });
  }

  /** Resolves at the next change; rejects with the caller's reason when it gives up. */
  changed(caller?: Abortable): Promise<void> {
    return new Promise((resolve, reject) => {
      if (caller?.reason !== undefined) {
        reject(caller.reason);
        return;
      }
      let unwatch = () => {};
      const wake = () => {
        unwatch();
        resolve();
      };
      this.#waiters.add(wake);
      if (caller === undefined) return;
      unwatch = caller.whenAborted(() => {
        this.#waiters.delete(wake);
        reject(caller.reason);
      });
    });
  }
}
