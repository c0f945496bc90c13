import type { Command } from "../command.ts";
import { completionScript, SHELLS, type Shell } from "../completion-scripts.ts";
import { UsageError } from "../errors.ts";
import { EXIT } from "../exit-codes.ts";

/** Built over the other commands, which it describes to a shell. */
export function makeCompletionCommand(others: () => readonly Command[]): Command {
  return {
    words: ["completion"],
    summary: "Print a script that teaches a shell to complete proglog's words.",
    examples: [
      { line: "source <(proglog completion bash)", says: "In this shell." },
      {
        line: "proglog completion fish > ~/.config/fish/completions/proglog.fish",
        says: "For good.",
      },
    ],
    arguments: [{ name: "SHELL", help: `One of ${SHELLS.join(", ")}.` }],
    flags: [],
    run: async (input, context) => {
      const shell = input.argument("SHELL");
      if (!isShell(shell)) {
        throw new UsageError(`Unknown shell "${shell}", there are ${SHELLS.join(", ")}`);
      }
      context.stdout.appendText(completionScript(shell, others()));
      return EXIT.fine;
    },
  };
}

function isShell(text: string): text is Shell {
  return SHELLS.some((shell) => shell === text);
}
