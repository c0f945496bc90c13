import { isatty } from "node:tty";
import { CommandInput } from "./command.ts";
import { showVersion } from "./commands/version.ts";
import { COMMANDS } from "./commands.ts";
import type { CommandContext } from "./context.ts";
import { EXIT } from "./exit-codes.ts";
import { endingOf } from "./failures.ts";
import { helpText } from "./help.ts";
import { Output } from "./output.ts";
import { parseCommandLine, wordsOf } from "./parse-arguments.ts";
import { Terminal } from "./terminal.ts";

/** Runs the command line. @returns the exit code. */
export async function main(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  const interrupt = new AbortController();
  const terminal = new Terminal(isatty(2));
  const context: CommandContext = {
    env,
    stdout: new Output(1),
    say: (line) => terminal.say(line),
    sayRaw: (text) => terminal.raw(text),
    progress: (line) => terminal.progress(line),
    isStdinTerminal: isatty(0),
    isStdoutTerminal: isatty(1),
    isStderrTerminal: isatty(2),
    interrupted: interrupt.signal,
  };
  const forget = onInterrupt(interrupt, context);
  try {
    const exitCode = await dispatch(args, context);
    await context.stdout.flush();
    return exitCode;
  } catch (thrown) {
    return await end(thrown, context, wordsOf(args, COMMANDS));
  } finally {
    forget();
  }
}

async function dispatch(args: readonly string[], context: CommandContext): Promise<number> {
  const request = parseCommandLine(args, COMMANDS);
  switch (request.kind) {
    case "run":
      return request.command.run(request.input, context);
    case "version":
      return showVersion(new CommandInput(new Map(), new Map()), context);
    case "help": {
      const text = helpText(request.words, COMMANDS);
      if (args.length > 0) context.stdout.appendText(text);
      // Nobody asked for help: a word is missing, and help is no data.
      else context.sayRaw(text);
      return args.length > 0 ? EXIT.fine : EXIT.usage;
    }
  }
}

/** What was printed before the failure is still good; then say what happened. */
async function end(
  thrown: unknown,
  context: CommandContext,
  words: readonly string[],
): Promise<number> {
  const { exitCode, lines } = endingOf(thrown, words);
  try {
    await context.stdout.flush();
  } catch {
    // Nobody reads: the failure below is what counts.
  }
  if (lines.length > 0) context.say(lines.join("\n"));
  return exitCode;
}

/** The first signal asks the command to finish; the second ends the process. */
function onInterrupt(interrupt: AbortController, context: CommandContext): () => void {
  const listener = () => {
    if (interrupt.signal.aborted) {
      context.say("Interrupted again: ends at once, without waiting for what is under way");
      process.exit(EXIT.interrupted);
    }
    interrupt.abort(new Error("Interrupted"));
  };
  process.on("SIGINT", listener);
  process.on("SIGTERM", listener);
  return () => {
    process.off("SIGINT", listener);
    process.off("SIGTERM", listener);
  };
}
