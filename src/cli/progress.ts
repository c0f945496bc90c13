import type { CommandContext } from "./context.ts";

const INTERVAL_MS = 200;

/** What the terminal is also used for, so that a progress line would be in the way. */
export type TerminalUse = "input" | "output" | "none";

/**
 * A line on the terminal that tells how far a long command is. Says nothing when
 * standard error is no terminal, or when the user types or reads there.
 */
export class ProgressLine {
  readonly #context: CommandContext;
  readonly #timer: NodeJS.Timeout | undefined;

  constructor(context: CommandContext, use: TerminalUse, text: () => string) {
    this.#context = context;
    const isTyping = use === "input" && context.isStdinTerminal;
    const isReading = use === "output" && context.isStdoutTerminal;
    if (!context.isStderrTerminal || isTyping || isReading) return;
    this.#timer = setInterval(() => context.progress(text()), INTERVAL_MS);
    this.#timer.unref();
  }

  end(): void {
    if (this.#timer === undefined) return;
    clearInterval(this.#timer);
    this.#context.progress("");
  }
}
