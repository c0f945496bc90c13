import type { CommandContext } from "./context.ts";

const INTERVAL_MS = 200;

/**
 * A line on the terminal that tells how far a long command is. Says nothing when
 * standard error is no terminal, or when the user types or reads there.
 */
export class ProgressLine {
  readonly #context: CommandContext;
  readonly #timer: NodeJS.Timeout | undefined;

  constructor(context: CommandContext, text: () => string) {
    this.#context = context;
    const isInTheWay = context.isStdinTerminal || context.isStdoutTerminal;
    if (!context.isStderrTerminal || isInTheWay) return;
    this.#timer = setInterval(() => context.progress(text()), INTERVAL_MS);
    this.#timer.unref();
  }

  end(): void {
    if (this.#timer === undefined) return;
    clearInterval(this.#timer);
    this.#context.progress("");
  }
}
