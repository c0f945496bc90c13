/**
 * Stops the node when `condition` does not hold. For programmer errors only:
 * after an invariant broke, wrong data is worse than no service.
 */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new InvariantError(message);
}

/** Never caught below `cli/main.ts`, which logs it and exits with status 70. */
export class InvariantError extends Error {
  override readonly name = "InvariantError";
}

/** The end of a `switch` over a union: the compiler proves that nothing gets here. */
export function never(value: never): never {
  throw new InvariantError(`Unexpected value: ${String(value)}`);
}
