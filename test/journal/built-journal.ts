import assert from "node:assert/strict";
import { hasReason } from "../../src/base/errors.ts";
import { makeRandom } from "../support/prng.ts";
import { SimFileSystem } from "../support/sim-file-system.ts";
import { type DiskImage, diskOf, type FlushPlace, fingerprint, flushesOf } from "./disk-image.ts";
import { append, contentOf, entry, newReplica, openJournal, payloadOf } from "./journal-harness.ts";

/** Room for a head and three blocks. */
export const SMALL = { fileBytes: 16 * 1024 };

export const FILE_1 = "journal/00000000000000000001.wal";
export const FILE_2 = "journal/00000000000000000002.wal";

/** A disk with a journal, and what is where. */
export interface Built {
  readonly image: DiskImage;
  readonly flushes: readonly FlushPlace[];
  /** What the journal held when flush n was its last. */
  readonly contents: ReadonlyMap<number, readonly string[]>;
}

/** Six flushes in two files: two replicas, entries, a hard state, a checkpoint. */
export async function build(sync: "always" | "none" = "always", filler = "."): Promise<Built> {
  const fs = new SimFileSystem(makeRandom(7));
  const { journal } = await openJournal(fs, { ...SMALL, sync });
  const contents = new Map<number, readonly string[]>([[0, []]]);
  const keep = async () => {
    contents.set(journal.flushCount, await contentOf(journal));
  };
  await journal.addReplica(newReplica(1));
  await keep();
  await journal.addReplica(newReplica(2));
  await keep();
  await append(journal, [entry(1, 2, "a"), entry(1, 3, "b"), entry(2, 2, "c")]);
  await keep();
  if (sync === "always") await journal.setHardState(2, { term: 4, vote: 9, commit: 2 });
  else await append(journal, [entry(2, 3, "instead")]);
  await keep();
  journal.setCheckpoint(1, 2, 1);
  await append(journal, [entry(1, 4, payloadOf(1, 4, 700) + filler)]);
  await keep();
  await append(journal, [entry(2, sync === "always" ? 3 : 4, "d", 4)]);
  await keep();
  await journal.idle();
  const image = fs.dump();
  return { image, flushes: flushesOf(image), contents };
}

/** The last flush. */
export function last(built: Built): FlushPlace {
  const found = built.flushes.at(-1);
  assert.ok(found !== undefined);
  return found;
}

/** Opens a changed disk: it holds what it held after flush `number`, and goes on from there. */
export async function checkEndsAt(image: DiskImage, built: Built, number: number): Promise<void> {
  const fs = diskOf(image);
  const { journal } = await openJournal(fs, SMALL);
  assert.deepEqual(await contentOf(journal), built.contents.get(number));
  await journal.addReplica(newReplica(50));
  await append(journal, [entry(50, 2, "more")]);
  const more = await contentOf(journal);
  await journal.idle();
  const again = await openJournal(fs.reopen(), SMALL);
  assert.deepEqual(await contentOf(again.journal), more);
}

/** Opening refuses with the place of the damage, and leaves all files as they are. */
export async function checkDamage(
  image: DiskImage,
  place: { readonly path: string; readonly position: number },
): Promise<void> {
  const fs = diskOf(image);
  await assert.rejects(openJournal(fs, SMALL), (error) => {
    assert.ok(hasReason(error, "JOURNAL_CORRUPT"), String(error));
    assert.equal(`journal/${error.metadata["file"]}`, place.path);
    assert.equal(error.metadata["position"], `${place.position}`);
    assert.match(error.message, /^Cannot use the journal: /);
    return true;
  });
  assert.equal(fingerprint(fs.dump()), fingerprint(image));
}

/** Writes over a part of `target`. */
export function put(target: Uint8Array, bytes: Uint8Array, at: number): Uint8Array {
  target.set(bytes, at);
  return target;
}

/** A journal whose files have all had a use before. */
export async function recycled(): Promise<{ image: DiskImage; content: readonly string[] }> {
  const fs = new SimFileSystem(makeRandom(3));
  const { journal } = await openJournal(fs, SMALL);
  await journal.addReplica(newReplica(1));
  await journal.addReplica(newReplica(2, { term: 6, vote: 1 }));
  for (let index = 2; index < 60; index += 1) {
    await append(journal, [entry(1, index, "x")]);
    if (index > 4 && index < 59) journal.setCheckpoint(1, index - 2, 1);
    await journal.idle();
  }
  return { image: fs.dump(), content: await contentOf(journal) };
}
