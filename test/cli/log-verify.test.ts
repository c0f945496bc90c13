import assert from "node:assert/strict";
import { readFile, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { openFolder } from "../../src/cli/data-folder.ts";
import { writeCheckpoint } from "../../src/storage/checkpoint.ts";
import { flipByte, LogFolder, SEGMENT_RECORDS } from "./support/log-folder.ts";
import { runCli } from "./support/run-cli.ts";

// Goal: the offline tools tell the truth about a log. Method: damage a log of three segments
// in every way, and look at what they say.
let folder: LogFolder;
beforeEach(async () => {
  folder = await LogFolder.make();
});
afterEach(() => folder.remove());

test("a folder that holds no log is refused, with what is wrong about it", async () => {
  await assert.rejects(openFolder(join(folder.dir, "none")), /there is no such folder/);
  await assert.rejects(
    openFolder(folder.dir),
    /it holds neither a server's data nor a log's segments/,
  );
  await writeFile(join(folder.dir, "file"), "");
  await assert.rejects(openFolder(join(folder.dir, "file")), /there is no such folder/);
  for (const verb of ["inspect", "verify"]) {
    assert.equal((await runCli(["log", verb, folder.dir])).code, 1);
  }
});

test("a log without a fault has no findings, and verify exits with 0", async () => {
  await folder.writeRaw();
  assert.deepEqual(await folder.findings(), []);
  const { code, stdout, stderr } = await runCli(["log", "verify", folder.dir]);
  assert.equal(code, 0);
  assert.equal(stdout.length, 0);
  assert.match(stderr, /Checked 25 records in 3 segments/);
});

test("a damaged length in a closed segment is found at its place, and the rest is still read", async () => {
  await folder.writeRaw();
  // Record 3: behind three frames of 8 + 8 bytes; its highest length byte.
  await flipByte(folder.store(0), 3 * 16 + 7);
  const [found, ...others] = await folder.findings();
  assert.deepEqual(others, []);
  assert.equal(found?.severity, "damage");
  assert.equal(found.offset, 3);
  assert.equal(found.position, 48);
  assert.equal(found.what, "a frame's length is impossible");
  const { code, stdout } = await runCli(["log", "verify", folder.dir, "-o", "json"]);
  assert.equal(code, 1);
  assert.equal((JSON.parse(stdout.toString()) as { offset: number }).offset, 3);
});

test("a damaged length without an index to go on by ends the segment, and says so", async () => {
  await folder.writeRaw();
  await flipByte(folder.store(0), 3 * 16 + 7);
  await truncate(folder.index(0), 16);
  const found = await folder.findings();
  assert.match(found[0]?.what ?? "", /and with it all that follows in this segment$/);
});

test("a closed segment that is too short is a gap", async () => {
  await folder.writeRaw();
  await truncate(folder.store(10), 5 * 17);
  const found = await folder.findings();
  assert.ok(
    found.some(({ severity, offset }) => severity === "damage" && offset === 15),
    JSON.stringify(found),
  );
});

test("inspect shows segments of a raw log, as a table and as JSON", async () => {
  await folder.writeRaw();
  const text = (await runCli(["log", "inspect", folder.dir])).stdout.toString();
  assert.match(text, /^first offset {2}0\nnext offset {3}25\n/);
  assert.match(text, /\n20 +25 +5 +85 +80 +open\n/);
  const json = await runCli(["log", "inspect", folder.dir, "-o", "json"]);
  const survey = JSON.parse(json.stdout.toString()) as { segments: unknown[]; nextOffset: number };
  assert.equal(survey.segments.length, 3);
  assert.equal(survey.nextOffset, 25);
  assert.equal((await runCli(["log", "inspect", folder.dir, "1"])).code, 2);
});

test("verify finds a flipped bit anywhere in a record of a topic, and goes on after it", async () => {
  const topic = await folder.writeTopic();
  const path = topic.store(0);
  const whole = await readFile(path);
  const frameBytes = whole.length / SEGMENT_RECORDS;
  for (let byte = 0; byte < frameBytes; byte += 1) {
    await flipByte(path, 4 * frameBytes + byte);
    const found = (await folder.findings()).filter(({ file }) => file.endsWith(".log"));
    assert.deepEqual(
      found.map(({ severity, offset, topicId }) => [severity, offset, topicId]),
      [["damage", 4, 1]],
      `byte ${byte}`,
    );
    await writeFile(path, whole);
  }
});

test("behind a topic's checkpoint an index that does not fit is a note, also of a later segment", async () => {
  const topic = await folder.writeTopic();
  await writeCheckpoint(topic.fs, "", {
    ...{ topicId: 1, replicaId: 2, appliedIndex: 11, appliedTerm: 1, startOffset: 0 },
    nextOffset: SEGMENT_RECORDS,
    extent: { segments: topic.extent.segments.slice(0, 1) },
    confState: new Uint8Array(0),
    state: new Uint8Array(0),
  });
  const severities = async () =>
    (await folder.findings()).flatMap(({ file, severity }) =>
      file.endsWith(".idx") ? [severity] : [],
    );
  for (const base of [10, 20]) await truncate(topic.index(base), 17);
  assert.deepEqual(await severities(), ["note", "note"]);
  await truncate(topic.index(0), 17);
  assert.deepEqual(await severities(), ["damage", "note", "note"]);
});
