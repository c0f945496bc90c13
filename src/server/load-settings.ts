import { readFile } from "node:fs/promises";
import { isIP } from "node:net";
import { parse as parseToml, TomlError } from "smol-toml";
import { platformCode } from "../base/errors.ts";
import { stateOf } from "./platform-errors.ts";
import { type HostPort, isWildcard, printHostPort } from "./setting-types.ts";
import {
  envNameOf,
  SETTING_NAMES,
  type SettingName,
  type Settings,
  settingOf,
} from "./settings.ts";
import { didYouMean } from "./suggest.ts";

/** Read when `--config` names no other, and when it exists. */
export const CONFIG_FILE = "/etc/proglog/proglog.toml";

/** Environment variables that are no settings of the server but known all the same. */
const OTHER_ENV_NAMES = [
  "PROGLOG_CONFIG",
  "PROGLOG_SERVER",
  "PROGLOG_TLS_CA",
  "PROGLOG_CLIENT_CERT",
  "PROGLOG_CLIENT_KEY",
];

/** Kubernetes sets these in every pod beside a service named `proglog`. */
const KUBERNETES_ENV =
  /^PROGLOG(_.*)?_(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT(_\d+_.*)?)$|^PROGLOG_PORT$/;

export type Origin = "flag" | "environment" | "file" | "default";

/** Where settings may come from. Every value is text until its one parser has seen it. */
export interface SettingSources {
  readonly flags: Readonly<Record<string, string>>;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly file?: { readonly path: string; readonly values: Readonly<Record<string, string>> };
}

export interface LoadedSettings {
  readonly settings: Settings;
  readonly origins: Readonly<Record<SettingName, Origin>>;
  /** File that was read, if any. */
  readonly file: string | undefined;
  /** What the operator should know, such as a misspelt environment variable. */
  readonly warnings: readonly string[];
}

/** A setting that cannot be used. The message says which, from where, and what to write. */
export class SettingError extends Error {
  override readonly name = "SettingError";
}

/**
 * Reads the file and resolves every setting.
 *
 * @throws {SettingError} for the first value that does not fit.
 */
export async function loadSettings(
  flags: Readonly<Record<string, string>>,
  env: Readonly<Record<string, string | undefined>>,
): Promise<LoadedSettings> {
  const named = flags["config"] ?? env["PROGLOG_CONFIG"];
  const file = await readConfigFile(named ?? CONFIG_FILE, { mayBeMissing: named === undefined });
  return resolveSettings(file === undefined ? { flags, env } : { flags, env, file });
}

/** In order of precedence: flag, environment, file, default. An empty variable counts as not set. */
export function resolveSettings(sources: SettingSources): LoadedSettings {
  const values: Record<string, unknown> = {};
  const origins: Record<string, Origin> = {};
  const { file } = sources;
  if (file !== undefined) checkFileKeys(file);
  for (const name of SETTING_NAMES) {
    const envText = sources.env[envNameOf(name)];
    const candidates = [
      ["flag", sources.flags[name], `--${name}`],
      ["environment", envText === "" ? undefined : envText, envNameOf(name)],
      ["file", file?.values[name], `"${name}" in ${file?.path}`],
    ] as const;
    const found = candidates.find(([, raw]) => raw !== undefined);
    values[name] = settingOf(name).fallback;
    origins[name] = found?.[0] ?? "default";
    if (found?.[1] !== undefined) values[name] = parseSetting(name, found[1], found[2]);
  }
  const settings = values as Settings;
  checkTogether(settings);
  return {
    settings,
    origins: origins as Record<SettingName, Origin>,
    file: file?.path,
    warnings: warningsAbout(sources.env),
  };
}

/** True when only this machine can reach `host`. Names other than `localhost` count as reachable. */
export function isLoopback(host: string): boolean {
  if (host === "localhost") return true;
  const version = isIP(host);
  if (version === 4) return host.startsWith("127.");
  return version === 6 && /^(0{0,4}:){2,7}0{0,3}1$/.test(host);
}

function parseSetting(name: SettingName, raw: string, place: string): unknown {
  try {
    return settingOf(name).type.parse(raw);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new SettingError(`Cannot read ${place}: ${cause.message}`, { cause });
  }
}

/** What no setting can see alone. */
function checkTogether(settings: Settings): void {
  const hasCert = settings["tls-cert"] !== "";
  if (hasCert !== (settings["tls-key"] !== "")) {
    const [given, missing] = hasCert ? ["--tls-cert", "--tls-key"] : ["--tls-key", "--tls-cert"];
    throw new SettingError(`Cannot use ${given} alone: set ${missing} too`);
  }
  const hasClientCa = settings["tls-client-ca"] !== "";
  if (hasClientCa && !hasCert) {
    throw new SettingError("Cannot use --tls-client-ca alone: set --tls-cert and --tls-key too");
  }
  checkReach(settings.listen, {
    isGuarded: hasClientCa,
    isAllowed: settings["allow-insecure-public"],
  });
  checkCluster(settings);
}

function checkCluster(settings: Settings): void {
  const { join, listen, advertise } = settings;
  const expected = settings["bootstrap-expect"];
  if (expected > 0 && join.some(({ kind }) => kind === "srv")) {
    throw new SettingError(
      `Cannot use --bootstrap-expect ${expected} with SRV records: name every server in --join`,
    );
  }
  if (expected > 0 && join.length !== expected) {
    throw new SettingError(
      `Cannot use --bootstrap-expect ${expected} with ${join.length} servers in --join: ` +
        `name all ${expected}, this one too`,
    );
  }
  if (join.length === 0 || advertise !== undefined || !isWildcard(listen.host)) return;
  throw new SettingError(
    `Cannot use --join while listening on ${printHostPort(listen)}: others cannot call that address, ` +
      "set --advertise HOST:PORT",
  );
}

function checkReach(listen: HostPort, state: { isGuarded: boolean; isAllowed: boolean }): void {
  if (state.isGuarded || state.isAllowed || isLoopback(listen.host)) return;
  throw new SettingError(
    `Cannot listen on ${printHostPort(listen)}: other machines can reach it and nothing authenticates ` +
      "them, set --tls-cert, --tls-key and --tls-client-ca, or add --allow-insecure-public",
  );
}

function checkFileKeys(file: { path: string; values: Readonly<Record<string, string>> }): void {
  const names: readonly string[] = SETTING_NAMES;
  const unknown = Object.keys(file.values).find((key) => !names.includes(key));
  if (unknown === undefined) return;
  throw new SettingError(
    `Cannot read ${file.path}: "${unknown}" is not a setting${didYouMean(unknown, names)}`,
  );
}

/** A slip in a variable's name would go unnoticed; but others may set variables of that prefix too. */
function warningsAbout(env: Readonly<Record<string, string | undefined>>): string[] {
  const known = [...SETTING_NAMES.map(envNameOf), ...OTHER_ENV_NAMES];
  return Object.keys(env)
    .filter((name) => name.startsWith("PROGLOG_") && !known.includes(name))
    .filter((name) => !KUBERNETES_ENV.test(name))
    .map((name) => `${name} is not a setting and is ignored${didYouMean(name, known)}`);
}

async function readConfigFile(
  path: string,
  options: { mayBeMissing: boolean },
): Promise<SettingSources["file"]> {
  let content: string;
  try {
    content = await readFile(path, "utf8");
  } catch (cause) {
    if (options.mayBeMissing && platformCode(cause) === "ENOENT") return undefined;
    throw new SettingError(`Cannot read ${path}: ${stateOf(cause)}`, { cause });
  }
  return { path, values: parseConfig(path, content) };
}

/** Keys and values of a settings file, the values as text. */
export function parseConfig(path: string, content: string): Record<string, string> {
  let table: Record<string, unknown>;
  try {
    table = parseToml(content);
  } catch (cause) {
    if (!(cause instanceof TomlError)) throw cause;
    throw new SettingError(
      `Cannot read ${path}: ${cause.message.split("\n")[0]} at ${cause.line}:${cause.column}`,
      {
        cause,
      },
    );
  }
  const values: Record<string, string> = {};
  for (const [key, value] of Object.entries(table)) values[key] = toText(path, key, value);
  return values;
}

function toText(path: string, key: string, value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (Array.isArray(value) && value.every((item) => typeof item === "string")) {
    return value.join(",");
  }
  throw new SettingError(
    `Cannot read "${key}" in ${path}: neither text, number, true, false nor a list of texts`,
  );
}
