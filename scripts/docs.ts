/**
 * Writes docs/errors.md, configuration.md, cli.md and metrics.md out of the tables that the
 * program itself runs on. `--check` writes nothing and fails when one is not fresh.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { type ErrorCode, REASONS, type ReasonInfo, type Retry } from "../src/base/reasons.ts";
import type { Command, FlagSpec } from "../src/cli/command.ts";
import { COMMANDS } from "../src/cli/commands.ts";
import { EXIT_MEANINGS } from "../src/cli/exit-codes.ts";
import { flagHelp, flagTitle, usageOf } from "../src/cli/help.ts";
import { SETTING_FLAGS } from "../src/cli/setting-flags.ts";
import { CONFIG_FILE } from "../src/server/load-settings.ts";
import { METRIC_TABLES } from "../src/server/metric-tables.ts";
import { envNameOf, SETTING_NAMES, type SettingName, settingOf } from "../src/server/settings.ts";

const DOCUMENTS: Readonly<Record<string, () => string>> = {
  "docs/errors.md": errorsDocument,
  "docs/configuration.md": configurationDocument,
  "docs/cli.md": cliDocument,
  "docs/metrics.md": metricsDocument,
};

const GENERATED = "<!-- Made by `npm run docs`; do not edit. -->";

const RETRIES: Readonly<Record<Retry, string>> = {
  no: "no",
  "after-backoff": "after a pause",
  "at-leader": "at the leader",
  "with-producer": "with a producer",
};

function errorsDocument(): string {
  const rows = Object.entries<ReasonInfo>(REASONS).map(([reason, info]) => [
    `\`${reason}\``,
    printCode(info.code),
    RETRIES[info.retry],
    info.when,
    info.fix,
    (info.metadata ?? []).map((key) => `\`${key}\``).join(", "),
  ]);
  return document("Errors", [
    GENERATED,
    "Every error carries exactly one `google.rpc.ErrorInfo` with the domain `proglog`; its `reason` is " +
      "in this table. The values that a message speaks of are in its `metadata` too, so that programs " +
      "need not parse messages; the last column has the keys that are always there. A reason is never " +
      "renamed and never given another meaning.",
    "*Retry* says whether the same call may succeed later. A failed write appended nothing, unless its " +
      "metadata has `outcome: unknown`, or it carries no ErrorInfo at all because the connection was " +
      "lost: then it may have. A retry with a producer (`OpenProducer`) appends once in any case.",
    table(["reason", "code", "retry", "when", "what to do", "metadata"], rows),
  ]);
}

function configurationDocument(): string {
  const groups = [...new Set(SETTING_NAMES.map((name) => settingOf(name).group))];
  const parts = groups.flatMap((group) => [
    `## ${group}`,
    table(
      ["setting", "value", "default", "what it does"],
      SETTING_NAMES.filter((name) => settingOf(name).group === group).map(settingRow),
    ),
  ]);
  return document("Configuration", [
    GENERATED,
    "Every setting of `proglog serve`. `proglog config show` prints them all with their values and " +
      "where each comes from; `proglog serve --check-config` reads them and stops.",
    "A setting named `data-dir` is, in the order of precedence:",
    [
      "1. the flag `--data-dir`",
      `2. the environment variable \`${envNameOf("data-dir")}\`; empty counts as not set`,
      `3. the key \`data-dir\` of the file given by \`--config\` or \`PROGLOG_CONFIG\`, else of \`${CONFIG_FILE}\` when there is one`,
      "4. its default",
    ].join("\n"),
    "The file is [TOML](https://toml.io): `topics-max = 50`, `reflection = false`, " +
      '`cors-origins = ["https://example.com"]`. An unknown key is an error; an unknown variable that ' +
      "begins with `PROGLOG_` is a warning.",
    "Sizes are bytes or have a unit: `1048576`, `64KiB`, `8MiB`, `1GiB`. Durations have one: `500ms`, " +
      "`30s`, `5m`, `1h`, `7d`.",
    ...parts,
  ]);
}

function settingRow(name: SettingName): string[] {
  const { type, help, fallback } = settingOf(name);
  const values = type.placeholder ?? "no value as a flag, else `on` or `off`";
  const printed = type.print(fallback);
  return [
    `\`${name}\``,
    type.range === undefined ? values : `${values}, ${type.range}`,
    printed === "" ? "" : `\`${printed}\``,
    help,
  ];
}

function metricsDocument(): string {
  const rows = METRIC_TABLES.flatMap((metrics) =>
    Object.entries(metrics).map(([name, { kind, help, labels = [] }]) => [
      `\`${name}\``,
      kind,
      labels.map((label) => `\`${label}\``).join(", "),
      help,
    ]),
  );
  return document("Metrics", [
    GENERATED,
    "`GET /metrics` on the one port answers in the text format of Prometheus. Every server speaks for " +
      "itself: what it says of others is what it sees of them. Whoever may call the port may read it: no " +
      "record and no topic's name is in it.",
    table(["metric", "kind", "labels", "what it says"], rows),
  ]);
}

function cliDocument(): string {
  return document("Command line", [
    GENERATED,
    "`proglog help`, `proglog help COMMAND` and `proglog COMMAND --help` tell the same. Flags may stand " +
      "anywhere. Data goes to standard output, everything else to standard error.",
    table(
      ["command", ""],
      COMMANDS.map((command) => [commandLink(command), command.summary]),
    ),
    "## Exit codes",
    table(
      ["code", "meaning"],
      EXIT_MEANINGS.map(([code, meaning]) => [String(code), meaning]),
    ),
    ...COMMANDS.flatMap(commandParts),
  ]);
}

function commandLink(command: Command): string {
  const name = ["proglog", ...command.words].join(" ");
  return `[\`${name}\`](#${name.replaceAll(" ", "-")})`;
}

function commandParts(command: Command): string[] {
  const examples = command.examples.map(({ line, says }) => `# ${says}\n${line}`);
  const isSetting = ({ name }: FlagSpec) => SETTING_FLAGS.some((flag) => flag.name === name);
  const flags = command.flags.filter((flag) => !isSetting(flag));
  const hasSettings = flags.length < command.flags.length;
  return [
    `## proglog ${command.words.join(" ")}`,
    command.summary,
    `\`\`\`sh\n${examples.join("\n\n")}\n\`\`\``,
    `Usage: \`${usageOf(command)}\``,
    ...(command.arguments.length === 0
      ? []
      : [
          table(
            ["argument", ""],
            command.arguments.map(({ name, help }) => [`\`${name}\``, help]),
          ),
        ]),
    ...(flags.length === 0
      ? []
      : [
          table(
            ["flag", ""],
            flags.map((flag) => [`\`${flagTitle(flag)}\``, flagHelp(flag)]),
          ),
        ]),
    ...(hasSettings
      ? ["`--config FILE` and every setting of [configuration.md](configuration.md)."]
      : []),
    ...(command.details ?? []),
  ];
}

function printCode(code: ErrorCode): string {
  return code.toUpperCase();
}

function document(title: string, parts: readonly string[]): string {
  return `${[`# ${title}`, ...parts].join("\n\n")}\n`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

const stale: string[] = [];
for (const [path, make] of Object.entries(DOCUMENTS)) {
  const text = make();
  if (!process.argv.includes("--check")) writeFileSync(path, text);
  else if (readOrEmpty(path) !== text) stale.push(path);
}
if (stale.length > 0) {
  process.stderr.write(
    `Not fresh: ${stale.join(", ")}. Run "npm run docs" and commit the result.\n`,
  );
  process.exitCode = 1;
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
