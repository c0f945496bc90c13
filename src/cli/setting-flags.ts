import { envNameOf, SETTING_NAMES, type SettingName, settingOf } from "../server/settings.ts";
import type { CommandInput, FlagSpec } from "./command.ts";

/** A flag for each setting of the server. */
export const SETTING_FLAGS: readonly FlagSpec[] = [
  {
    name: "config",
    placeholder: "FILE",
    help: "Settings in TOML. Default /etc/proglog/proglog.toml, when there is one.",
    env: "PROGLOG_CONFIG",
  },
  ...SETTING_NAMES.map(toFlag),
];

/** The settings among the flags, as text. */
export function settingsFrom(input: CommandInput): Record<string, string> {
  const flags = input.flags();
  const names = SETTING_FLAGS.map(({ name }) => name);
  return Object.fromEntries(Object.entries(flags).filter(([name]) => names.includes(name)));
}

function toFlag(name: SettingName): FlagSpec {
  const { type, help, fallback } = settingOf(name);
  const printed = type.print(fallback);
  return {
    name,
    // The first sentence; docs/configuration.md has all of it.
    help: `${help.split(". ")[0]?.replace(/\.$/, "").replaceAll("`", "")}.`,
    env: envNameOf(name),
    ...(type.placeholder === undefined ? {} : { placeholder: type.placeholder }),
    ...(type.choices === undefined || type.placeholder === undefined
      ? {}
      : { choices: type.choices }),
    ...(printed === "" || type.placeholder === undefined ? {} : { fallback: printed }),
  };
}
