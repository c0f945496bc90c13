import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { openFileSystem } from "../../src/platform/open-file-system.ts";
import { integerFrom, makeRandom, seedsFromEnv } from "../support/prng.ts";
import { CrashWorkload } from "./crash-workload.ts";
import { append, contentOf, entry, newReplica, openJournal, payloadOf } from "./journal-harness.ts";

const root = mkdtempSync(join(tmpdir(), "proglog-journal-"));
after(() => rmSync(root, { recursive: true, force: true }));

for (const sync of ["always", "none"] as const) {
  test(`on real files a journal comes back as it was left (sync ${sync})`, async () => {
    const dir = join(root, sync);
    const first = await openJournal(openFileSystem(dir), { sync });
    await first.journal.addReplica(newReplica(1));
    await first.journal.addReplica(newReplica(2));
    const appends = [];
    for (let index = 2; index < 200; index += 1) {
      appends.push(append(first.journal, [entry(1, index, payloadOf(1, index, index * 7))]));
      if (index % 3 === 0) appends.push(first.journal.setHardState(2, vote(index)));
    }
    await Promise.all(appends);
    first.journal.setCheckpoint(1, 150, 1);
    await append(first.journal, [entry(1, 200, "last")]);
    const content = await contentOf(first.journal);
    assert.equal(content.length, 2 + 50);
    // As after kill -9: nothing is closed.
    await first.journal.idle();
    const second = await openJournal(openFileSystem(dir), { sync });
    assert.equal(second.journal.recovery.isCleanStop, false);
    assert.deepEqual(await contentOf(second.journal), content);
    await second.journal.close();
    const third = await openJournal(openFileSystem(dir), { sync });
    assert.equal(third.journal.recovery.isCleanStop, true);
    assert.deepEqual(await contentOf(third.journal), content);
    await third.journal.close();
    await first.journal.close();
  });
}

test("on real files with the usual sizes a new journal is small, and grows ahead", async () => {
  const dir = join(root, "sizes");
  const { journal } = await openJournal(openFileSystem(dir), { fileBytes: 64 * 2 ** 20 });
  await journal.addReplica(newReplica(1));
  await append(journal, [entry(1, 2, payloadOf(1, 2, 200_000))]);
  await journal.idle();
  const [name = ""] = readdirSync(join(dir, "journal"));
  const { size, mode } = statSync(join(dir, "journal", name));
  assert.ok(size >= 4 * 2 ** 20 && size < 6 * 2 ** 20, `${size}`);
  assert.equal(mode & 0o777, 0o600);
  await journal.close();
});

for (const seed of seedsFromEnv(3)) {
  test(`on real files a random life after another loses nothing (seed ${seed})`, async () => {
    const dir = join(root, `random-${seed}`);
    const random = makeRandom(seed);
    const workload = new CrashWorkload(random);
    for (let life = 0; life < 4; life += 1) {
      const { journal } = await openJournal(openFileSystem(dir), { seed, fileBytes: 32 * 1024 });
      await workload.check(journal, `life ${life}`, () => true);
      for (let step = integerFrom(random, 20, 60); step > 0; step -= 1) {
        await workload.step(journal);
      }
      if (random() < 0.5) await journal.close();
      else await journal.idle();
    }
  });
}

function vote(term: number) {
  return { term, vote: 1, commit: 1 };
}
