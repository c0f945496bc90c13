import type { Output } from "./output.ts";

/** What a command may touch of the process. */
export interface CommandContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Data, and nothing else. */
  readonly stdout: Output;
  /** A line for the person: what changed, what went wrong, how far it is. */
  say(line: string): void;
  /** A text on standard error as it is: help that nobody asked for, the line that a server is ready. */
  sayRaw(text: string): void;
  /** Replaces the last line on the terminal; does nothing when standard error is none. */
  progress(line: string): void;
  readonly isStdinTerminal: boolean;
  readonly isStdoutTerminal: boolean;
  readonly isStderrTerminal: boolean;
  /** Aborted by the first SIGINT or SIGTERM; the second ends the process. */
  readonly interrupted: AbortSignal;
}
