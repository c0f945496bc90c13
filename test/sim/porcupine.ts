import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { resolve } from "node:path";

const SOURCE = resolve(import.meta.dirname, "porcupine");
const PROGRAM = resolve("dist/sim/porcupine");

/** Why histories cannot be checked here, or false. */
export function withoutGo(): string | false {
  return spawnSync("go", ["version"]).status !== 0 && "needs go, not on this machine's PATH";
}

let isBuilt = false;

function build(): void {
  if (isBuilt) return;
  mkdirSync(resolve("dist/sim"), { recursive: true });
  // Go's own cache makes it fast when nothing has changed.
  execFileSync("go", ["build", "-o", PROGRAM, "."], {
    cwd: SOURCE,
    stdio: ["ignore", "ignore", "inherit"],
  });
  isBuilt = true;
}

export interface Linearizability {
  readonly verdict: "ok" | "violation" | "time limit";
  /** For people: what was found. */
  readonly text: string;
}

/**
 * Judges a history by Porcupine (https://github.com/anishathalye/porcupine): whether each topic behaved as one log
 * that does one thing at a time.
 *
 * @throws when the program cannot be built, or cannot read the history
 */
export function checkLinearizable(
  lines: readonly string[],
  timeoutSeconds: number,
): Linearizability {
  build();
  const { status, stdout } = spawnSync(PROGRAM, ["-timeout", `${timeoutSeconds}s`], {
    input: lines.map((line) => `${line}\n`).join(""),
    maxBuffer: 2 ** 28,
    encoding: "utf8",
  });
  const verdict = (["ok", "violation", undefined, "time limit"] as const)[status ?? 2];
  if (verdict === undefined) throw new Error(`Porcupine ended with ${status}: ${stdout}`);
  return { verdict, text: stdout.trim() };
}
