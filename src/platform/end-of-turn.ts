/**
 * Runs `callback` when all that is ready now has run, promises too, and before the
 * event loop looks for anything new: what is gathered until then belongs together.
 */
export function atEndOfTurn(callback: () => void): void {
  process.nextTick(callback);
}
