/** The user wrote something that cannot be meant. Exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Something else failed that the message says in full. Exit code 1 unless given. */
export class CommandError extends Error {
  override readonly name = "CommandError";
  readonly exitCode: number;

  constructor(message: string, options: { exitCode?: number; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.exitCode = options.exitCode ?? 1;
  }
}
