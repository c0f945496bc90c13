import type { Clock } from "../base/clock.ts";

const LOOK_MS = 50;

/**
 * Resolves as `work` does, or when `isDiskFull` holds meanwhile: then `work` goes on by
 * itself, and whoever began it looks after its rejection.
 */
export async function orDiskFull(
  work: Promise<unknown>,
  isDiskFull: () => boolean,
  clock: Clock,
): Promise<void> {
  work.catch(() => {});
  let cancel = () => {};
  const full = new Promise<void>((resolve) => {
    const look = () => {
      if (isDiskFull()) resolve();
      else cancel = clock.schedule(LOOK_MS, look);
    };
    cancel = clock.schedule(LOOK_MS, look);
  });
  try {
    await Promise.race([work, full]);
  } finally {
    cancel();
  }
}

/** Does `work` on all `items`, at most `sideBySideMax` at a time; rejects with the first error when all have ended. */
export async function forEachOf<T>(
  items: readonly T[],
  sideBySideMax: number,
  work: (item: T) => Promise<unknown>,
): Promise<void> {
  const errors: unknown[] = [];
  let next = 0;
  const worker = async () => {
    for (let item = items[next]; item !== undefined && errors.length === 0; item = items[next]) {
      next += 1;
      await work(item).catch((error: unknown) => errors.push(error));
    }
  };
  await Promise.all(Array.from({ length: sideBySideMax }, worker));
  if (errors.length > 0) throw errors[0];
}
