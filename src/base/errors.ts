import type { Reason } from "./reasons.ts";

/** Values of a message, so that programs need not parse it. Keys are lower camel case with the unit. */
export type ErrorMetadata = Readonly<Record<string, string>>;

/**
 * An operating error: expected, handled, and safe to show to a client.
 * A broken invariant is not one of these: `assert` it and let the node crash.
 */
export class ProglogError extends Error {
  override readonly name = "ProglogError";
  readonly reason: Reason;
  readonly metadata: ErrorMetadata;

  constructor(
    reason: Reason,
    message: string,
    options: { readonly metadata?: ErrorMetadata; readonly cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.reason = reason;
    this.metadata = options.metadata ?? {};
  }
}

/** True when `thrown` is a ProglogError of that reason. */
export function hasReason(thrown: unknown, reason: Reason): thrown is ProglogError {
  return thrown instanceof ProglogError && thrown.reason === reason;
}

/** Code of a platform error, such as `ENOENT`; undefined when it has none. */
export function platformCode(thrown: unknown): string | undefined {
  const code = (thrown as { readonly code?: unknown } | undefined)?.code;
  return typeof code === "string" ? code : undefined;
}
