import { readFile } from "node:fs/promises";
import { createSecureContext } from "node:tls";
import type { TlsMaterial } from "../platform/http-options.ts";
import { SettingError } from "./load-settings.ts";
import { stateOf } from "./platform-errors.ts";
import type { Settings } from "./settings.ts";

/**
 * Reads certificate, key and client CA; undefined when TLS is off.
 *
 * @throws {SettingError} when one cannot be read, or they do not fit together
 */
export async function readTlsFiles(settings: Settings): Promise<TlsMaterial | undefined> {
  if (settings["tls-cert"] === "") return undefined;
  const cert = await read("tls-cert", settings);
  const key = await read("tls-key", settings);
  const hasClientCa = settings["tls-client-ca"] !== "";
  const clientCa = hasClientCa ? await read("tls-client-ca", settings) : undefined;
  const material = { cert, key, ...(clientCa === undefined ? {} : { clientCa }) };
  try {
    createSecureContext({ cert, key, ...(clientCa === undefined ? {} : { ca: clientCa }) });
  } catch (cause) {
    const names = `${settings["tls-cert"]} and ${settings["tls-key"]}`;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new SettingError(`Cannot use ${names} for TLS: ${why}`, { cause });
  }
  return material;
}

async function read(
  name: "tls-cert" | "tls-key" | "tls-client-ca",
  settings: Settings,
): Promise<string> {
  const path = settings[name];
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new SettingError(`Cannot read ${path} for --${name}: ${stateOf(cause)}`, { cause });
  }
}
