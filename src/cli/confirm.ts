import { createInterface } from "node:readline/promises";
import type { CommandInput } from "./command.ts";
import type { CommandContext } from "./context.ts";
import { UsageError } from "./errors.ts";
import { EXIT } from "./exit-codes.ts";
import { InterruptedError } from "./failures.ts";

/**
 * Asks before something is destroyed. `--yes` answers; without it and without a
 * terminal to ask on, the command refuses.
 *
 * @param what a question without its mark: `Delete topic orders`.
 * @returns false when the user says no.
 * @throws {UsageError} when nobody can be asked.
 */
export async function confirm(
  what: string,
  input: CommandInput,
  context: CommandContext,
): Promise<boolean> {
  if (input.has("yes")) return true;
  if (!context.isStdinTerminal) {
    throw new UsageError(`Cannot ask "${what}?": standard input is not a terminal, add --yes`);
  }
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await prompt.question(`${what}? [y/N] `, { signal: context.interrupted });
    return /^y(es)?$/i.test(answer.trim());
  } catch (thrown) {
    if (context.interrupted.aborted) throw new InterruptedError();
    throw thrown;
  } finally {
    prompt.close();
  }
}

/** The user said no. @returns the exit code */
export function declined(context: CommandContext): number {
  context.say("Nothing was changed");
  return EXIT.failed;
}
