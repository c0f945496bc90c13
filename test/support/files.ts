import assert from "node:assert/strict";
import { platformCode } from "../../src/base/errors.ts";
import { toPosition } from "../../src/base/units.ts";
import type { File, FileSystem } from "../../src/platform/file-system.ts";

/** Checks that `promise` rejects with a platform error of that code. */
export async function rejectsWith(code: string, promise: Promise<unknown>): Promise<void> {
  await assert.rejects(promise, (error) => {
    assert.equal(platformCode(error), code);
    return true;
  });
}

/** Opens, works, and closes whatever happens. */
export async function withFile(
  opening: Promise<File>,
  work: (file: File) => Promise<void>,
): Promise<void> {
  const file = await opening;
  try {
    await work(file);
  } finally {
    await file.close();
  }
}

/** Makes the file hold `text` and nothing else; syncs nothing. */
export async function putText(fs: FileSystem, path: string, text: string): Promise<void> {
  await withFile(fs.open(path, { mode: "create" }), async (file) => {
    await file.truncate(0);
    await file.write([bytes(text)], toPosition(0));
  });
}

/** All that the file holds, as text. */
export async function getText(fs: FileSystem, path: string): Promise<string> {
  let text = "";
  await withFile(fs.open(path, { mode: "read" }), async (file) => {
    text = await readText(file, 0, (await file.size()) + 1);
  });
  return text;
}

/** What one read of `count` bytes gives, as text. */
export async function readText(file: File, at: number, count: number): Promise<string> {
  const target = new Uint8Array(count);
  const got = await file.read(target, toPosition(at));
  return new TextDecoder().decode(target.subarray(0, got));
}

/** `text` in UTF-8. */
export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
