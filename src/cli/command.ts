import type { CommandContext } from "./context.ts";

/** A flag of a command. */
export interface FlagSpec {
  readonly name: string;
  /** One letter, for `-o`. */
  readonly short?: string;
  /** Stands for the value in help; absent for a flag that takes none. */
  readonly placeholder?: string;
  /** A sentence; help shows the first of several. */
  readonly help: string;
  /** May be given more than once. */
  readonly isRepeatable?: boolean;
  /** Values there are, when they are few. */
  readonly choices?: readonly string[];
  /** Environment variable that stands in for the flag. */
  readonly env?: string;
  /** Shown in help when set. */
  readonly fallback?: string;
}

export interface ArgumentSpec {
  /** In capitals. */
  readonly name: string;
  readonly help: string;
  readonly isOptional?: boolean;
}

export interface Example {
  readonly line: string;
  readonly says: string;
}

/** Anything that `proglog` can be told to do. Help, completion and docs/cli.md come from this. */
export interface Command {
  /** Noun, then verb: `["topic", "create"]`. */
  readonly words: readonly string[];
  /** Other spellings of the last word. */
  readonly aliases?: readonly string[];
  /** What it does: a sentence. */
  readonly summary: string;
  /** Help leads with them. */
  readonly examples: readonly [Example, Example, ...Example[]];
  readonly arguments: readonly ArgumentSpec[];
  readonly flags: readonly FlagSpec[];
  /** Paragraphs about what the flags cannot say. */
  readonly details?: readonly string[];
  /** @returns the exit code. */
  run(input: CommandInput, context: CommandContext): Promise<number>;
}

/** What the user wrote, checked against the command's flags and arguments. */
export class CommandInput {
  readonly #arguments: ReadonlyMap<string, string>;
  readonly #flags: ReadonlyMap<string, readonly string[]>;

  constructor(values: ReadonlyMap<string, string>, flags: ReadonlyMap<string, readonly string[]>) {
    this.#arguments = values;
    this.#flags = flags;
  }

  /** An argument that is not optional. */
  argument(name: string): string {
    return this.#arguments.get(name) ?? "";
  }

  optionalArgument(name: string): string | undefined {
    return this.#arguments.get(name);
  }

  has(flag: string): boolean {
    return this.#flags.has(flag);
  }

  /** The flag's value; the last one when it was given several times. */
  value(flag: string): string | undefined {
    return this.#flags.get(flag)?.at(-1);
  }

  values(flag: string): readonly string[] {
    return this.#flags.get(flag) ?? [];
  }

  /** Every flag given, with its last value; one without a value is `on`. */
  flags(): Record<string, string> {
    const entries = [...this.#flags].map(([name, values]) => [name, values.at(-1) ?? "on"]);
    return Object.fromEntries(entries) as Record<string, string>;
  }
}
