import { ProglogError, platformCode } from "../base/errors.ts";
import { toPosition } from "../base/units.ts";
import type { File, FileSystem } from "../platform/file-system.ts";
import type { ProcessIdentity } from "../platform/process-identity.ts";
import { readWhole } from "./atomic-file.ts";
import { LOCK_NAME } from "./layout.ts";
import { isNoSpace, namingPlatformErrors } from "./storage-errors.ts";

export interface FolderLock {
  /** Gives the folder free. */
  release(): Promise<void>;
}

const LOCK_BYTES_MAX = 4096;
const SPACE = 0x20;

/**
 * Takes the data folder for this process. A lock whose process is gone is taken over,
 * however young or old it is.
 *
 * Two files: `LOCK` says in JSON who has the folder. Before, each process makes a claim
 * `LOCK.<boot>.<pid>.<start>`, whose name alone says who it is, so it is never seen half
 * made. It then looks for claims and a lock of others, and gives way to any that lives.
 * Of two that try at once the later one to look sees the other; both may give way, both
 * never win. The winner renames its claim to `LOCK`, which replaces a dead one's at one go;
 * when the disk has no room for the claim's content, it writes over the dead one's.
 *
 * @param isAlive says whether a process still runs
 * @throws DATA_DIR_LOCKED (metadata `pid`) when it does; DISK_FULL, DISK_FAILED
 */
export async function lockFolder(
  fs: FileSystem,
  self: ProcessIdentity,
  isAlive: (holder: ProcessIdentity) => boolean | Promise<boolean>,
): Promise<FolderLock> {
  return await namingPlatformErrors(`write "${LOCK_NAME}"`, async () => {
    const claim = printClaim(self);
    const file = await openClaim(fs, claim, self, isAlive);
    try {
      const noRoom = await writeClaim(file, self);
      const dead = await outlive(fs, claim, isAlive);
      if (noRoom === undefined) await fs.rename(claim, LOCK_NAME);
      else if (await fs.exists(LOCK_NAME)) await writeOverDead(fs, claim, self);
      else throw noRoom;
      for (const name of dead) await fs.remove(name);
    } catch (error) {
      // A claim of this process that stayed would keep its own next try away.
      await fs.remove(claim).catch(() => {});
      throw error;
    }
    return { release: () => fs.remove(LOCK_NAME) };
  });
}

/** Looks for others. @returns claims of dead ones @throws DATA_DIR_LOCKED when one lives */
async function outlive(
  fs: FileSystem,
  claim: string,
  isAlive: (holder: ProcessIdentity) => boolean | Promise<boolean>,
): Promise<readonly string[]> {
  const dead: string[] = [];
  for (const name of await fs.list("")) {
    const other = name === claim ? undefined : parseClaim(name);
    if (other === undefined) continue;
    if (await isAlive(other)) throw locked(other);
    dead.push(name);
  }
  // After the claims: a claim that was just renamed is found here.
  const holder = await readHolder(fs);
  if (holder !== undefined && (await isAlive(holder))) throw locked(holder);
  return dead;
}

/** @returns the platform's error when there was no room; the claim's name still says whose it is */
async function writeClaim(file: File, self: ProcessIdentity): Promise<unknown> {
  try {
    await file.write([encodeHolder(self)], toPosition(0));
    // A lock that a power cut left empty would not say whose it was.
    await file.sync();
    return undefined;
  } catch (error) {
    if (!isNoSpace(error)) throw error;
    // A part of it may have found room, which is needed elsewhere.
    await file.truncate(0);
    return error;
  } finally {
    await file.close();
  }
}

/**
 * On a full disk: takes over the lock of a dead process in its own place, which needs no
 * room. The claim stays until the lock is whole, so that nobody sees neither.
 */
async function writeOverDead(fs: FileSystem, claim: string, self: ProcessIdentity): Promise<void> {
  const file = await fs.open(LOCK_NAME, { mode: "write" });
  try {
    const content = encodeHolder(self);
    // Behind shorter content stays what was there, which JSON must not see.
    const padding = new Uint8Array(Math.max(0, (await file.size()) - content.length)).fill(SPACE);
    await file.write([content, padding], toPosition(0));
    await file.sync();
  } finally {
    await file.close();
  }
  await fs.remove(claim);
}

function encodeHolder(self: ProcessIdentity): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(self)}\n`);
}

async function openClaim(
  fs: FileSystem,
  claim: string,
  self: ProcessIdentity,
  isAlive: (holder: ProcessIdentity) => boolean | Promise<boolean>,
) {
  try {
    return await fs.open(claim, { mode: "create-new" });
  } catch (error) {
    if (platformCode(error) !== "EEXIST") throw error;
    // Another part of this very process is about to lock the folder.
    if (await isAlive(self)) throw locked(self);
    return await fs.open(claim, { mode: "create" });
  }
}

function locked({ pid }: ProcessIdentity): ProglogError {
  return new ProglogError(
    "DATA_DIR_LOCKED",
    `Cannot use the data folder: process ${pid} uses it, wanted it free`,
    { metadata: { pid: `${pid}` } },
  );
}

/** Who has, or had, the folder. Undefined when there is no lock, or a power cut took what it said. */
export async function readHolder(fs: FileSystem): Promise<ProcessIdentity | undefined> {
  const bytes = await readWhole(fs, LOCK_NAME, LOCK_BYTES_MAX);
  if (bytes === undefined || bytes === "too-large") return undefined;
  try {
    const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    const { bootId, pid, startTime } = value as Record<string, unknown>;
    if (typeof bootId !== "string" || typeof pid !== "number" || typeof startTime !== "string") {
      return undefined;
    }
    return { bootId, pid, startTime };
  } catch {
    return undefined;
  }
}

function printClaim({ bootId, pid, startTime }: ProcessIdentity): string {
  return `${LOCK_NAME}.${escapeText(bootId)}.${pid}.${escapeText(startTime)}`;
}

function parseClaim(name: string): ProcessIdentity | undefined {
  const found = /^LOCK\.([\w%-]*)\.(\d+)\.([\w%-]*)$/.exec(name);
  if (found === null) return undefined;
  const [, bootId = "", pid = "", startTime = ""] = found;
  try {
    return {
      bootId: decodeURIComponent(bootId),
      pid: Number(pid),
      startTime: decodeURIComponent(startTime),
    };
  } catch {
    return undefined;
  }
}

/** As in URLs, but also what is special in file names of some system, and the dot. */
function escapeText(text: string): string {
  const escapeOne = (char: string) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`;
  return encodeURIComponent(text).replaceAll(/[.!~*'()]/g, escapeOne);
}
