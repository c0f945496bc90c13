import type { Command, FlagSpec } from "./command.ts";
import { UsageError } from "./errors.ts";
import { EXIT_MEANINGS } from "./exit-codes.ts";
import { GLOBAL_FLAGS } from "./shared-flags.ts";
import { definitions, wrap } from "./table.ts";

/** Where the whole documentation is. */
const DOCUMENTATION =
  "Documentation: docs/ of the source repository (cli.md, configuration.md, errors.md)";

/** Nouns and verbs as users first see them. */
const TITLE = "proglog: a durable commit log server, and its client";

/** Help about everything, a noun's commands, or one command. */
export function helpText(words: readonly string[], commands: readonly Command[]): string {
  const chosen = commands.filter((command) =>
    words.every((word, place) => command.words[place] === word),
  );
  const [first] = chosen;
  if (first === undefined) throw new UsageError(`Unknown command "${words.join(" ")}"`);
  if (chosen.length === 1 && words.length === first.words.length) return commandHelp(first);
  return overview(words, chosen);
}

/** `proglog topic create NAME [flags]`. */
export function usageOf(command: Command): string {
  const values = command.arguments.map(({ name, isOptional }) => (isOptional ? `[${name}]` : name));
  return ["proglog", ...command.words, ...values, "[flags]"].join(" ");
}

/** `-o, --output table|json`. */
export function flagTitle(flag: FlagSpec): string {
  const value = flag.placeholder === undefined ? "" : ` ${flag.placeholder}`;
  return `${flag.short === undefined ? "" : `-${flag.short}, `}--${flag.name}${value}`;
}

/** The flag's help with what else the table knows of it. */
export function flagHelp(flag: FlagSpec): string {
  const notes = [
    flag.isRepeatable === true ? "Repeatable." : "",
    flag.fallback === undefined ? "" : `Default ${flag.fallback}.`,
    flag.env === undefined ? "" : `Also ${flag.env}.`,
  ];
  return [flag.help, ...notes].filter((note) => note !== "").join(" ");
}

function commandHelp(command: Command): string {
  const parts = [
    `proglog ${command.words.join(" ")}: ${command.summary}`,
    section(
      "Examples",
      command.examples.map(({ line, says }) => `  ${line}\n      ${says}`),
    ),
    section("Usage", [`  ${usageOf(command)}`]),
  ];
  if (command.arguments.length > 0) {
    const rows = command.arguments.map(({ name, help }) => [`  ${name}`, help] as const);
    parts.push(section("Arguments", definitions(rows)));
  }
  const flags = [...command.flags, ...GLOBAL_FLAGS.slice(0, 1)];
  const rows = flags.map((flag) => [`  ${flagTitle(flag)}`, flagHelp(flag)] as const);
  parts.push(section("Flags", definitions(rows)));
  for (const paragraph of command.details ?? []) parts.push(wrap(paragraph).join("\n"));
  parts.push(DOCUMENTATION);
  return `${parts.join("\n\n")}\n`;
}

function overview(words: readonly string[], commands: readonly Command[]): string {
  const rows = commands.map(
    (command) => [`  ${usageOf(command).replace(" [flags]", "")}`, command.summary] as const,
  );
  const noun = words[0];
  const examples = commands.slice(0, 2).map(({ examples: [example] }) => example);
  const general = [
    { line: "proglog serve", says: "Start a server here, data in ./data." },
    { line: "echo hello | proglog produce default", says: "Append a record to the first topic." },
  ];
  const shown = noun === undefined ? general : examples;
  const parts = [
    noun === undefined ? TITLE : `proglog ${noun}`,
    section(
      "Examples",
      shown.map(({ line, says }) => `  ${line}\n      ${says}`),
    ),
    section("Commands", definitions(rows)),
    "More about one: proglog help COMMAND, or proglog COMMAND --help",
  ];
  if (noun === undefined) {
    const codes = EXIT_MEANINGS.map(([code, meaning]) => [`  ${code}`, meaning] as const);
    parts.push(section("Exit codes", definitions(codes)));
  }
  parts.push(DOCUMENTATION);
  return `${parts.join("\n\n")}\n`;
}

function section(title: string, lines: readonly string[]): string {
  return [`${title}:`, ...lines].join("\n");
}
