import type { Command, FlagSpec } from "./command.ts";
import { GLOBAL_FLAGS } from "./shared-flags.ts";

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

/** A script for the shell, made from the same table as the parser: it cannot be out of date. */
export function completionScript(shell: Shell, commands: readonly Command[]): string {
  switch (shell) {
    case "bash":
      return bashScript(commands);
    case "zsh":
      return `#compdef proglog\nautoload -U +X bashcompinit && bashcompinit\n${bashScript(commands)}`;
    case "fish":
      return fishScript(commands);
  }
}

function flagsOf(command: Command): readonly FlagSpec[] {
  return [...command.flags, ...GLOBAL_FLAGS];
}

function flagWords(flags: readonly FlagSpec[]): string {
  return flags
    .flatMap(({ name, short }) => [`--${name}`, ...(short === undefined ? [] : [`-${short}`])])
    .join(" ");
}

/** First words, and for each noun its verbs. */
function wordTree(commands: readonly Command[]): Map<string, string[]> {
  const tree = new Map<string, string[]>();
  for (const { words } of commands) {
    const [noun = "", verb] = words;
    tree.set(noun, [...(tree.get(noun) ?? []), ...(verb === undefined ? [] : [verb])]);
  }
  return tree;
}

/** Also what zsh uses, through its emulation of bash's completion. */
function bashScript(commands: readonly Command[]): string {
  const tree = wordTree(commands);
  const valued = commands.flatMap(flagsOf).filter((flag) => flag.placeholder !== undefined);
  const valueCases = uniqueBy(valued, ({ name }) => name).map((flag) => {
    const names = [`--${flag.name}`, ...(flag.short === undefined ? [] : [`-${flag.short}`])];
    const reply =
      flag.choices === undefined
        ? 'COMPREPLY=( $(compgen -f -- "$cur") )'
        : `COMPREPLY=( $(compgen -W "${flag.choices.join(" ")}" -- "$cur") )`;
    return `    ${names.join("|")}) ${reply}; return ;;`;
  });
  const skipped = uniqueBy(valued, ({ name }) => name).map(({ name }) => `--${name}`);
  const commandCases = commands.map(
    (command) => `    "${command.words.join(" ")}") flags="${flagWords(flagsOf(command))}" ;;`,
  );
  const nounCases = [...tree]
    .filter(([, verbs]) => verbs.length > 0)
    .map(([noun, verbs]) => `    "${noun}") nouns="${verbs.join(" ")}" ;;`);
  return `_proglog() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" prev="\${COMP_WORDS[COMP_CWORD-1]}"
  local words="" skip="" word flags="" nouns=""
  COMPREPLY=()
  case "$prev" in
${valueCases.join("\n")}
  esac
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    if [ -n "$skip" ]; then skip=""; continue; fi
    case "$word" in
      ${skipped.join("|")}) skip=1 ;;
      -*) ;;
      *) words="$words\${words:+ }$word" ;;
    esac
  done
  case "$words" in
    "") nouns="${[...tree.keys(), "help"].join(" ")}" ;;
${nounCases.join("\n")}
  esac
  case "$words" in
    ${[...tree]
      .filter(([, verbs]) => verbs.length > 0)
      .map(([noun]) => `"${noun} "*" "*`)
      .join("|")}) words="$(printf '%s' "$words" | cut -d' ' -f1,2)" ;;
    ${[...tree]
      .filter(([, verbs]) => verbs.length === 0)
      .map(([noun]) => `"${noun} "*`)
      .join("|")}) words="\${words%% *}" ;;
  esac
  case "$words" in
${commandCases.join("\n")}
  esac
  if [ -n "$nouns" ] && [ "\${cur#-}" = "$cur" ]; then
    COMPREPLY=( $(compgen -W "$nouns" -- "$cur") )
  elif [ "\${cur#-}" != "$cur" ]; then
    COMPREPLY=( $(compgen -W "$flags" -- "$cur") )
  else
    COMPREPLY=( $(compgen -f -- "$cur") )
  fi
}
complete -o filenames -F _proglog proglog
`;
}

function fishScript(commands: readonly Command[]): string {
  const lines = ["complete -c proglog -f"];
  const tree = wordTree(commands);
  for (const [noun, verbs] of tree) {
    const single = commands.find(({ words }) => words[0] === noun);
    const summary = verbs.length === 0 ? (single?.summary ?? "") : verbs.join(", ");
    lines.push(`complete -c proglog -n __fish_use_subcommand -a ${noun} -d ${quote(summary)}`);
  }
  for (const command of commands) {
    const [noun = "", verb] = command.words;
    const isNoun = `__fish_seen_subcommand_from ${noun}`;
    const isHere =
      verb === undefined ? isNoun : `${isNoun}; and __fish_seen_subcommand_from ${verb}`;
    if (verb !== undefined) {
      const verbs = (tree.get(noun) ?? []).join(" ");
      const isOpen = `${isNoun}; and not __fish_seen_subcommand_from ${verbs}`;
      lines.push(`complete -c proglog -n ${quote(isOpen)} -a ${verb} -d ${quote(command.summary)}`);
    }
    for (const flag of flagsOf(command)) lines.push(fishFlag(isHere, flag));
  }
  return `${lines.join("\n")}\n`;
}

function fishFlag(condition: string, flag: FlagSpec): string {
  const short = flag.short === undefined ? "" : ` -s ${flag.short}`;
  const choices = flag.choices === undefined ? "" : ` -a ${quote(flag.choices.join(" "))}`;
  const value =
    flag.placeholder === undefined ? "" : ` -r${flag.choices ? " -f" : " -F"}${choices}`;
  const name = `-l ${flag.name}${short}`;
  return `complete -c proglog -n ${quote(condition)} ${name}${value} -d ${quote(flag.help)}`;
}

function quote(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}

function uniqueBy<T>(items: readonly T[], key: (item: T) => string): T[] {
  return [...new Map(items.map((item) => [key(item), item])).values()];
}
