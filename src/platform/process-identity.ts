import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { platformCode } from "../base/errors.ts";

/** Says which process something belongs to, also after its number was given to another one. */
export interface ProcessIdentity {
  /** Differs after each start of the machine; empty where the system does not tell. */
  readonly bootId: string;
  readonly pid: number;
  /** When the process began, in the system's own words, only good for comparing; empty when unknown. */
  readonly startTime: string;
}

/** The identity of this process. */
export function processIdentity(): ProcessIdentity {
  return { bootId: bootId(), pid: process.pid, startTime: startTime(process.pid) ?? "" };
}

/**
 * True while that very process runs, as far as this system can tell: when in doubt, true.
 * False for another start of the machine, and for another process of the same number.
 */
export function isAlive(identity: ProcessIdentity): boolean {
  const { pid } = identity;
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  const boot = bootId();
  if (boot !== "" && identity.bootId !== "" && boot !== identity.bootId) return false;
  if (!hasProcess(pid)) return false;
  const started = startTime(pid);
  if (started === undefined) return false;
  return started === "" || identity.startTime === "" || started === identity.startTime;
}

function hasProcess(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: there is one, of another user.
    return platformCode(error) === "EPERM";
  }
}

function bootId(): string {
  if (process.platform !== "linux") return "";
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return "";
  }
}

/** Undefined when the process has ended; empty when the system does not tell. */
function startTime(pid: number): string | undefined {
  if (process.platform === "win32") return "";
  if (process.platform === "linux") return linuxStartTime(pid);
  try {
    return execFileSync("ps", ["-o", "lstart=", "-p", `${pid}`], {
      encoding: "utf8",
      env: { ...process.env, LC_ALL: "C", TZ: "UTC" },
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  } catch {
    return "";
  }
}

/** Clock ticks from the start of the machine, field 22 of `/proc/PID/stat`. */
function linuxStartTime(pid: number): string | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch (error) {
    return platformCode(error) === "ENOENT" || platformCode(error) === "ESRCH" ? undefined : "";
  }
  // Field 2 is the program's name in parentheses and may hold anything, also parentheses.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  // A zombie has ended, its parent only has not asked yet.
  if (fields[0] === "Z" || fields[0] === "X") return undefined;
  return fields[19] ?? "";
}
