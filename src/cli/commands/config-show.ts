import { type LoadedSettings, loadSettings } from "../../server/load-settings.ts";
import { SETTING_NAMES, type SettingName, settingOf } from "../../server/settings.ts";
import type { Command, CommandInput } from "../command.ts";
import type { CommandContext } from "../context.ts";
import { EXIT } from "../exit-codes.ts";
import { SETTING_FLAGS, settingsFrom } from "../setting-flags.ts";
import { OUTPUT_FLAG } from "../shared-flags.ts";
import { table } from "../table.ts";

export const configShowCommand: Command = {
  words: ["config", "show"],
  summary: "Show every setting of the server with its value and where that comes from.",
  examples: [
    { line: "proglog config show", says: "What `proglog serve` would use here and now." },
    {
      line: "proglog config show --config proglog.toml -o json",
      says: "With a file; an object a line.",
    },
  ],
  arguments: [],
  flags: [OUTPUT_FLAG, ...SETTING_FLAGS],
  details: ["Order of precedence: flag, environment, file, default."],
  run: show,
};

async function show(input: CommandInput, context: CommandContext): Promise<number> {
  const loaded = await loadSettings(settingsFrom(input), context.env);
  for (const warning of loaded.warnings) context.say(`Warning: ${warning}`);
  const { stdout } = context;
  if (input.value("output") === "json") {
    for (const name of SETTING_NAMES) {
      const entry = { name, value: printedValue(loaded, name), origin: loaded.origins[name] };
      stdout.appendLine(JSON.stringify(entry));
    }
  } else {
    const rows = SETTING_NAMES.map((name) => [
      name,
      printedValue(loaded, name),
      originOf(loaded, name),
    ]);
    stdout.appendText(table(["NAME", "VALUE", "ORIGIN"], rows));
  }
  return EXIT.fine;
}

function printedValue(loaded: LoadedSettings, name: SettingName): string {
  return settingOf(name).type.print(loaded.settings[name]);
}

function originOf(loaded: LoadedSettings, name: SettingName): string {
  const origin = loaded.origins[name];
  return origin === "file" ? `file ${loaded.file}` : origin;
}
