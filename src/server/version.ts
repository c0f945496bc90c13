import { readFileSync } from "node:fs";
import { FORMAT_VERSION } from "../storage/node-file.ts";

// Set by `bun build --define`; absent when the sources run unbuilt.
declare const PROGLOG_VERSION: string | undefined;
declare const PROGLOG_REVISION: string | undefined;

export interface VersionInfo {
  readonly version: string;
  /** Commit that it was built from; `unknown` when it runs from its sources. */
  readonly revision: string;
  /** Name and version of the JavaScript runtime. */
  readonly runtime: string;
  /** Version of everything in a data folder: see docs/format.md. */
  readonly formatVersion: number;
  /** Operating system and processor, `linux-x64`. */
  readonly platform: string;
}

/** What this program is. */
export function versionInfo(): VersionInfo {
  return {
    version: typeof PROGLOG_VERSION === "undefined" ? sourceVersion() : PROGLOG_VERSION,
    revision: typeof PROGLOG_REVISION === "undefined" ? "unknown" : PROGLOG_REVISION,
    runtime: runtime(),
    formatVersion: FORMAT_VERSION,
    platform: `${process.platform}-${process.arch}`,
  };
}

function runtime(): string {
  const { bun, deno, node } = process.versions;
  if (bun !== undefined) return `Bun ${bun}`;
  if (deno !== undefined) return `Deno ${deno}`;
  return `Node.js ${node}`;
}

function sourceVersion(): string {
  const manifest = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return /"version": "([^"]+)"/.exec(manifest)?.[1] ?? "unknown";
}
