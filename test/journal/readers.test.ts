import assert from "node:assert/strict";
import { test } from "node:test";
import { hasReason } from "../../src/base/errors.ts";
import { settle } from "../support/sim-clock.ts";
import { append, entriesOf, entry, outcomeOf } from "./journal-harness.ts";
import { appendMany, names, opened } from "./small-journal.ts";

test("a file that is read gets no other use before that has ended", async () => {
  const { fs, journal } = await opened();
  await appendMany(journal, 20);
  await journal.idle();
  const [oldest = ""] = names(fs, ".wal");
  const release = fs.hold({ op: "read" });
  const reading = outcomeOf(entriesOf(journal, 1));
  await settle();
  journal.setCheckpoint(1, journal.lastIndex(1), 1);
  await append(journal, [entry(2, 2, "mark")]);
  await settle();
  assert.ok(names(fs, ".wal").includes(oldest));
  release();
  await settle();
  assert.equal(reading.state, "done");
  await append(journal, [entry(2, 3, "next")]);
  await journal.idle();
  assert.ok(!names(fs, ".wal").includes(oldest));
});

test("a reader ends early when the entries that it comes to are dropped", async () => {
  const { journal } = await opened();
  await appendMany(journal, 5);
  const read: number[] = [];
  for await (const { index } of journal.entries(1, 2)) {
    read.push(index);
    if (index !== 3) continue;
    journal.setCheckpoint(1, 5, 1);
    await append(journal, [entry(2, 2, "flush")]);
  }
  assert.deepEqual(read, [2, 3]);
});

test("a reader gives what took an entry's place while that was read", async () => {
  const { fs, journal } = await opened();
  await append(journal, [entry(1, 2, "a"), entry(1, 3, "b"), entry(1, 4, "c")]);
  const release = fs.hold({ op: "read" });
  const reading = entriesOf(journal, 1);
  await settle();
  await append(journal, [entry(1, 3, "other", 2), entry(1, 4, "too", 2)]);
  release();
  assert.deepEqual(await reading, ["2/1 a", "3/2 other", "4/2 too"]);
});

test("damage of an entry is reported when it is read, with its place", async () => {
  const { fs, journal } = await opened();
  await appendMany(journal, 3);
  await journal.idle();
  const path = names(fs, ".wal")[0] ?? "";
  const bytes = fs.dump().get(path) ?? new Uint8Array(0);
  const at = Buffer.from(bytes).indexOf("1:3;");
  const file = await fs.open(path, { mode: "write" });
  await file.write([new Uint8Array([0])], (at + 100) as never);
  const read: number[] = [];
  await assert.rejects(
    async () => {
      for await (const { index } of journal.entries(1, 2)) read.push(index);
    },
    (error) => hasReason(error, "JOURNAL_CORRUPT") && error.metadata["position"] === `${at - 34}`,
  );
  assert.deepEqual(read, [2]);
});
