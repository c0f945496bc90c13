import assert from "node:assert/strict";
import { test } from "node:test";
import {
  append,
  contentOf,
  entry,
  newReplica,
  openJournal,
  openWithReplicas,
} from "./journal-harness.ts";

async function opened() {
  const { fs, ...result } = await openWithReplicas(1, { sync: "none" });
  let syncs = 0;
  fs.onStep((_, op) => {
    if (op === "sync") syncs += 1;
  });
  return { fs, ...result, syncs: () => syncs };
}

test("with sync none appends are not synced, and hard states and replicas are", async () => {
  const { journal, syncs } = await opened();
  for (let index = 2; index < 6; index += 1) await append(journal, [entry(1, index, "x")]);
  assert.equal(syncs(), 0);
  await journal.setHardState(1, { term: 3, vote: 2, commit: 2 });
  assert.equal(syncs(), 1);
  await append(journal, [entry(1, 6, "x")]);
  await journal.addReplica(newReplica(2));
  assert.equal(syncs(), 2);
  await journal.removeReplica(2);
  assert.equal(syncs(), 3);
});

test("with sync none a power cut takes only what came after the last vote", async () => {
  const { fs, journal } = await opened();
  await append(journal, [entry(1, 2, "before")]);
  await journal.setHardState(1, { term: 3, vote: 2, commit: 2 });
  const content = await contentOf(journal);
  await append(journal, [entry(1, 3, "after"), entry(1, 4, "after")]);
  await journal.idle();
  fs.crash(0);
  const again = await openJournal(fs.reopen(), { sync: "none" });
  assert.deepEqual(await contentOf(again.journal), content);
});

test("with sync none a kill loses nothing, and a restart makes it durable", async () => {
  const { fs, journal } = await opened();
  for (let index = 2; index < 30; index += 1) await append(journal, [entry(1, index, "x")]);
  const content = await contentOf(journal);
  await journal.idle();
  // Killed: the page cache is still there. The next start writes again what nobody has synced.
  const next = fs.reopen();
  const again = await openJournal(next, { sync: "none" });
  assert.deepEqual(await contentOf(again.journal), content);
  await again.journal.idle();
  next.crash(0);
  const third = await openJournal(next.reopen(), { sync: "always" });
  assert.deepEqual(await contentOf(third.journal), content);
});

test("a journal of one sync mode goes on in the other", async () => {
  const { fs, journal } = await opened();
  await append(journal, [entry(1, 2, "none")]);
  await journal.close();
  const next = fs.reopen();
  const second = await openJournal(next, { sync: "always" });
  assert.equal(second.journal.recovery.isCleanStop, true);
  await append(second.journal, [entry(1, 3, "always")]);
  const content = await contentOf(second.journal);
  assert.deepEqual(content.slice(1), ["  2/1 none", "  3/1 always"]);
  await second.journal.idle();
  next.crash(0);
  const third = await openJournal(next.reopen(), { sync: "none" });
  assert.deepEqual(await contentOf(third.journal), content);
});
