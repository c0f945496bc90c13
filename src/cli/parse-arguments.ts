import { parseArgs } from "node:util";
import { didYouMean } from "../server/suggest.ts";
import { type Command, CommandInput, type FlagSpec } from "./command.ts";
import { UsageError } from "./errors.ts";
import { GLOBAL_FLAGS } from "./shared-flags.ts";

/** What the user asks for. */
export type Request =
  | { readonly kind: "run"; readonly command: Command; readonly input: CommandInput }
  /** `words` begin one command, several, or none: then all. */
  | { readonly kind: "help"; readonly words: readonly string[] }
  | { readonly kind: "version" };

type Token = NonNullable<ReturnType<typeof parseArgs>["tokens"]>[number];
type OptionToken = Extract<Token, { kind: "option" }>;

/**
 * Finds the command and checks everything that was written against it. Flags may
 * stand anywhere, also before the command's words.
 *
 * @throws {UsageError}
 */
export function parseCommandLine(args: readonly string[], commands: readonly Command[]): Request {
  const every = [...GLOBAL_FLAGS, ...commands.flatMap((command) => command.flags)];
  const tokens = tokensOf(args, every);
  const words = tokens.flatMap((token) => (token.kind === "positional" ? [token.value] : []));
  const options = tokens.filter((token) => token.kind === "option");
  checkKnown(options, every);
  const isHelp = options.some((option) => option.name === "help");
  if (words[0] === "help") return { kind: "help", words: checkedTopic(words.slice(1), commands) };
  if (options.some((option) => option.name === "version")) return { kind: "version" };
  if (isHelp || words.length === 0) {
    const command = findCommand(words, commands);
    return { kind: "help", words: command?.words ?? checkedTopic(words, commands) };
  }
  const command = findCommand(words, commands);
  if (command === undefined) throw new UsageError(unknownCommand(words, commands));
  const values = readArguments(command, words.slice(command.words.length));
  return { kind: "run", command, input: new CommandInput(values, readFlags(command, options)) };
}

/** The words of the command that is asked for; none when it cannot be told. For hints. */
export function wordsOf(args: readonly string[], commands: readonly Command[]): readonly string[] {
  const every = [...GLOBAL_FLAGS, ...commands.flatMap((command) => command.flags)];
  const words = tokensOf(args, every).flatMap((token) =>
    token.kind === "positional" ? [token.value] : [],
  );
  return findCommand(words, commands)?.words ?? [];
}

function tokensOf(args: readonly string[], flags: readonly FlagSpec[]): readonly Token[] {
  const { tokens } = parseArgs({
    args: [...args],
    options: Object.fromEntries(flags.map((flag) => [flag.name, toOption(flag)])),
    // Strict mode would refuse `--offset -10`, and cannot suggest.
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  return tokens;
}

/** The command whose words, or alias, `words` begin with. */
function findCommand(words: readonly string[], commands: readonly Command[]): Command | undefined {
  return commands.find((command) =>
    command.words.every((word, place) => {
      const isLast = place === command.words.length - 1;
      const given = words[place];
      return given === word || (isLast && command.aliases?.includes(given ?? "") === true);
    }),
  );
}

function toOption(flag: FlagSpec): { type: "string" | "boolean"; short?: string } {
  const type = flag.placeholder === undefined ? "boolean" : "string";
  return flag.short === undefined ? { type } : { type, short: flag.short };
}

function checkKnown(options: readonly OptionToken[], every: readonly FlagSpec[]): void {
  const names = every.map((flag) => flag.name);
  const unknown = options.find((option) => !names.includes(option.name));
  if (unknown === undefined) return;
  const suggestion = didYouMean(
    unknown.rawName,
    names.map((name) => `--${name}`),
  );
  throw new UsageError(`Unknown flag ${unknown.rawName}${suggestion}`);
}

/** Words of `help`: they must begin a command. */
function checkedTopic(words: readonly string[], commands: readonly Command[]): readonly string[] {
  const isPrefix = (command: Command) =>
    words.every((word, place) => command.words[place] === word);
  if (commands.some(isPrefix)) return words;
  throw new UsageError(unknownCommand(words, commands));
}

function unknownCommand(words: readonly string[], commands: readonly Command[]): string {
  const [noun = "", verb] = words;
  const siblings = commands.filter((command) => command.words[0] === noun);
  const verbs = siblings.flatMap((command) => command.words[1] ?? []);
  if (siblings.length === 0) {
    const firsts = [...new Set(commands.map((command) => command.words[0] ?? ""))];
    const suggestion = didYouMean(noun, [...firsts, "help"]);
    return `Unknown command "${noun}"${suggestion === "" ? `: ${firsts.join(", ")}` : suggestion}`;
  }
  if (verb === undefined) return `"proglog ${noun}" needs a verb: ${verbs.join(", ")}`;
  const suggestion = didYouMean(verb, verbs);
  const all = suggestion === "" ? `: ${verbs.join(", ")}` : suggestion;
  return `Unknown command "${noun} ${verb}"${all}`;
}

function readArguments(command: Command, words: readonly string[]): Map<string, string> {
  const values = new Map<string, string>();
  for (const [place, argument] of command.arguments.entries()) {
    const word = words[place];
    if (word !== undefined) values.set(argument.name, word);
    else if (argument.isOptional !== true) {
      throw new UsageError(`"proglog ${command.words.join(" ")}" needs ${argument.name}`);
    }
  }
  const extra = words[command.arguments.length];
  if (extra !== undefined) {
    throw new UsageError(`Unexpected word "${extra}" after "proglog ${command.words.join(" ")}"`);
  }
  return values;
}

function readFlags(command: Command, options: readonly OptionToken[]): Map<string, string[]> {
  const flags = new Map<string, string[]>();
  const own = [...command.flags, ...GLOBAL_FLAGS];
  for (const option of options) {
    const flag = own.find(({ name }) => name === option.name);
    if (flag === undefined) {
      const names = own.map(({ name }) => `--${name}`);
      throw new UsageError(
        `"proglog ${command.words.join(" ")}" has no flag ${option.rawName}` +
          didYouMean(option.rawName, names),
      );
    }
    const values = flags.get(flag.name) ?? [];
    const value = readValue(flag, option);
    if (value !== undefined) values.push(value);
    flags.set(flag.name, values);
  }
  return flags;
}

function readValue(
  flag: FlagSpec,
  { rawName, value, inlineValue }: OptionToken,
): string | undefined {
  if (flag.placeholder === undefined) {
    if (value !== undefined) throw new UsageError(`${rawName} takes no value`);
    return undefined;
  }
  if (value === undefined) throw new UsageError(`${rawName} needs a value: ${flag.placeholder}`);
  if (inlineValue === false && /^--?[a-zA-Z]/.test(value)) {
    throw new UsageError(
      `${rawName} needs a value, and ${value} is a flag: write ${rawName}=${value} if it is meant`,
    );
  }
  if (flag.choices !== undefined && !flag.choices.includes(value)) {
    throw new UsageError(
      `Cannot read ${rawName}: "${value}" is not known, write ${flag.choices.join(" or ")}`,
    );
  }
  return value;
}
