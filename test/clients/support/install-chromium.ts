import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";

const OUTPUT_DIR = "dist/clients/browser";
const STEP_MS_MAX = 5 * 60_000;
const STEPS: readonly (readonly string[])[] = [
  ["apt-get", "update"],
  ["apt-get", "install", "-y", "--no-install-recommends", "chromium"],
];

/**
 * Installs Debian's Chromium where that is nobody's loss: in CI, or when
 * PROGLOG_INSTALL_CHROMIUM is set, and only as root. Otherwise does nothing, and
 * the tests that need it say that they are skipped.
 *
 * @throws {Error} with the end of the output when a step fails or takes too long, or
 *   when there is no `path` afterwards
 */
export function installChromium(path: string): void {
  const { CI, PROGLOG_INSTALL_CHROMIUM } = process.env;
  if (existsSync(path) || (CI ?? PROGLOG_INSTALL_CHROMIUM ?? "") === "") return;
  if (process.getuid?.() !== 0 || !existsSync("/usr/bin/apt-get")) return;
  mkdirSync(OUTPUT_DIR, { recursive: true });
  for (const [command = "", ...args] of STEPS) {
    const { status, stdout, stderr } = spawnSync(command, args, {
      encoding: "utf8",
      timeout: STEP_MS_MAX,
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    });
    const output = `${stdout}${stderr}`;
    writeFileSync(`${OUTPUT_DIR}/${command}-${args[0]}.txt`, output);
    if (status === 0) continue;
    throw new Error(`"${command} ${args.join(" ")}" ended with ${status}: ${output.slice(-4_000)}`);
  }
  if (!existsSync(path))
    throw new Error(`Debian's chromium was installed, but there is no ${path}`);
}
