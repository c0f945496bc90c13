import { versionInfo } from "../../server/version.ts";
import type { Command, CommandInput } from "../command.ts";
import type { CommandContext } from "../context.ts";
import { EXIT } from "../exit-codes.ts";
import { OUTPUT_FLAG } from "../shared-flags.ts";
import { pairs } from "../table.ts";

export const versionCommand: Command = {
  words: ["version"],
  summary: "Show what this program is.",
  examples: [
    { line: "proglog version", says: "For people, and for reports of defects." },
    { line: "proglog version -o json", says: "For programs." },
  ],
  arguments: [],
  flags: [OUTPUT_FLAG],
  run: showVersion,
};

/** Also what `--version` does. */
export async function showVersion(input: CommandInput, context: CommandContext): Promise<number> {
  const info = versionInfo();
  if (input.value("output") === "json") context.stdout.appendLine(JSON.stringify(info));
  else {
    context.stdout.appendText(
      pairs([
        ["proglog", info.version],
        ["revision", info.revision],
        ["runtime", info.runtime],
        ["on-disk format", String(info.formatVersion)],
        ["platform", info.platform],
      ]),
    );
  }
  return EXIT.fine;
}
