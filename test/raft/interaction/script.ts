/** One command of a script, and what must come of it. */
export interface Command {
  readonly line: number;
  readonly name: string;
  readonly args: readonly Argument[];
  /** Lines between the command and the separator. */
  readonly input: string;
  readonly expected: string;
}

/** `key` alone has no values; `key=a` has one, `key=(a,b)` several. */
export interface Argument {
  readonly key: string;
  readonly values: readonly string[];
}

const SEPARATOR = "----";

/** Reads a script in the format of github.com/cockroachdb/datadriven, as far as etcd's use it. */
export function parseScript(text: string): readonly Command[] {
  const lines = text.split("\n");
  const commands: Command[] = [];
  let at = 0;
  while (at < lines.length) {
    const line = at + 1;
    const directive = (lines[at] ?? "").trim();
    at += 1;
    if (directive === "" || directive.startsWith("#")) continue;
    const separator = lines.indexOf(SEPARATOR, at);
    if (separator < 0) throw new Error(`line ${line}: no separator after "${directive}"`);
    const input = lines.slice(at, separator).join("\n").trim();
    const { expected, end } = readExpected(lines, separator + 1);
    at = end;
    const [name = "", ...args] = directive.split(/ +(?![^(]*\))/);
    commands.push({ line, name, args: args.map(parseArgument), input, expected });
  }
  return commands;
}

/** Ends at a blank line, or, with blank lines in it, stands between two pairs of separators. */
function readExpected(lines: readonly string[], start: number): { expected: string; end: number } {
  let end = start;
  if (lines[start] === SEPARATOR) {
    while (lines[end + 1] !== SEPARATOR || lines[end + 2] !== SEPARATOR) end += 1;
    return { expected: lines.slice(start + 1, end + 1).join("\n"), end: end + 3 };
  }
  while (end < lines.length && lines[end]?.trim() !== "") end += 1;
  return { expected: lines.slice(start, end).join("\n"), end };
}

function parseArgument(text: string): Argument {
  const [key = "", value] = text.split("=", 2);
  if (value === undefined) return { key, values: [] };
  return { key, values: value.replaceAll(/[()]/g, "").split(/, */) };
}

function find(args: readonly Argument[], key: string): Argument | undefined {
  return args.find((argument) => argument.key === key && argument.values.length > 0);
}

export function textOf(args: readonly Argument[], key: string): string | undefined {
  return find(args, key)?.values[0];
}

export function idsOf(args: readonly Argument[], key: string): readonly number[] {
  return (find(args, key)?.values ?? []).map(Number);
}

/** Ids that stand alone. */
export function plainIds(args: readonly Argument[]): readonly number[] {
  return args.filter(({ values }) => values.length === 0).map(({ key }) => Number(key));
}
