let due: (() => void)[] = [];

/**
 * Runs `callback` when all that is ready now has run, promises too, and before the
 * event loop looks for anything new: what is gathered until then belongs together. On
 * Bun the first one of a turn may come before promises that are ready.
 *
 * The runtime is told once a turn, however many ask: a thousand tails of one topic do.
 */
export function atEndOfTurn(callback: () => void): void {
  if (due.length === 0) process.nextTick(run);
  due.push(callback);
}

function run(): void {
  const callbacks = due;
  due = [];
  let begun = 0;
  try {
    for (const callback of callbacks) {
      begun += 1;
      callback();
    }
  } finally {
    // One that throws takes nothing from the others.
    for (const callback of callbacks.slice(begun)) atEndOfTurn(callback);
  }
}
