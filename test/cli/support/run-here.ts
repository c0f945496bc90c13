import { COMMANDS } from "../../../src/cli/commands.ts";
import type { CommandContext } from "../../../src/cli/context.ts";
import { endingOf } from "../../../src/cli/failures.ts";
import { Output } from "../../../src/cli/output.ts";
import { parseCommandLine } from "../../../src/cli/parse-arguments.ts";

/** Gathers what would be written. */
class MemoryOutput extends Output {
  text = "";

  constructor() {
    super(-1);
  }

  override appendText(text: string): void {
    this.text += text;
  }

  override appendLine(text: string): void {
    this.text += `${text}\n`;
  }

  override async flush(): Promise<void> {}
}

/** A command in this very process, for tests of many commands: starting one costs a second or so. */
export async function runHere(
  line: string,
  env: Readonly<Record<string, string>>,
): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> {
  const stdout = new MemoryOutput();
  const said: string[] = [];
  const context: CommandContext = {
    env,
    stdout,
    say: (text) => said.push(text),
    sayRaw: (text) => said.push(text),
    progress: () => {},
    isStdinTerminal: false,
    isStdoutTerminal: false,
    isStderrTerminal: false,
    interrupted: new AbortController().signal,
  };
  let code: number;
  try {
    const request = parseCommandLine(line.split(" "), COMMANDS);
    if (request.kind !== "run") throw new Error(`"${line}" runs nothing`);
    code = await request.command.run(request.input, context);
  } catch (thrown) {
    const { exitCode, lines } = endingOf(thrown);
    code = exitCode;
    said.push(...lines);
  }
  return { code, stdout: stdout.text, stderr: said.map((text) => `${text}\n`).join("") };
}
