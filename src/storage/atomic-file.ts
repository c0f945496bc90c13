import { platformCode } from "../base/errors.ts";
import { toPosition } from "../base/units.ts";
import type { File, FileSystem } from "../platform/file-system.ts";
import { joinPath } from "./layout.ts";

/** Added to a name while the file is being written; what is found under it is left from a crash. */
const TEMPORARY_SUFFIX = ".tmp";

/**
 * Replaces the file `name` in `dir` as a whole: after a crash there is the old one or the
 * new one. Durable on return. One writer at a time.
 *
 * Rejects with the platform's errors; the old file is then still there.
 */
export async function writeAtomically(
  fs: FileSystem,
  place: { readonly dir: string; readonly name: string },
  content: Uint8Array,
): Promise<void> {
  const path = joinPath(place.dir, place.name);
  const temporary = path + TEMPORARY_SUFFIX;
  const file = await fs.open(temporary, { mode: "create" });
  try {
    await file.truncate(0);
    await file.write([content], toPosition(0));
    await file.sync();
  } finally {
    await file.close();
  }
  await fs.rename(temporary, path);
  await fs.syncDir(place.dir);
}

/**
 * Reads a small file.
 * @returns undefined when it is not there; "too-large" when it is over `bytesMax`
 */
export async function readWhole(
  fs: FileSystem,
  path: string,
  bytesMax: number,
): Promise<Uint8Array | undefined | "too-large"> {
  const file = await openIfThere(fs, path);
  if (file === undefined) return undefined;
  try {
    const size = await file.size();
    if (size > bytesMax) return "too-large";
    const bytes = new Uint8Array(size);
    return bytes.subarray(0, await file.read(bytes, toPosition(0)));
  } finally {
    await file.close();
  }
}

async function openIfThere(fs: FileSystem, path: string): Promise<File | undefined> {
  try {
    return await fs.open(path, { mode: "read" });
  } catch (error) {
    if (platformCode(error) === "ENOENT") return undefined;
    throw error;
  }
}
