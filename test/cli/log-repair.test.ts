import assert from "node:assert/strict";
import { mkdir, readFile, rm, truncate, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { toOffset } from "../../src/base/units.ts";
import { openFolder } from "../../src/cli/data-folder.ts";
import { repairFolder } from "../../src/cli/repair-folder.ts";
import { NodeFileSystem } from "../../src/platform/node-file-system.ts";
import { decodeRecord } from "../../src/storage/frame.ts";
import { Log } from "../../src/storage/log.ts";
import { flipByte, LogFolder, NUMBERED, SEGMENT_RECORDS } from "./support/log-folder.ts";
import { runCli } from "./support/run-cli.ts";

// Goal: repair mends what it can and never loses a record. Method: damage a log of three
// segments, and look at what is left.
let folder: LogFolder;
beforeEach(async () => {
  folder = await LogFolder.make();
});
afterEach(() => folder.remove());

test("an index that is gone, cut or wrong is made anew by repair, byte for byte", async () => {
  await folder.writeRaw();
  const before = await Promise.all([0, 10, 20].map((base) => readFile(folder.index(base))));
  await unlink(folder.index(0));
  await flipByte(folder.index(10), 9);
  await truncate(folder.index(20), 17);
  assert.deepEqual(
    (await folder.findings()).map(({ severity, offset }) => [severity, offset]),
    [
      ["damage", 0],
      ["damage", 10],
      ["damage", 20],
    ],
  );
  const { code, stderr } = await runCli(["log", "repair", folder.dir, "--yes"]);
  assert.equal(code, 0, stderr);
  assert.match(stderr, /Mended 3, damage left: 0/);
  assert.deepEqual(await folder.findings(), []);
  assert.deepEqual(
    await Promise.all([0, 10, 20].map((base) => readFile(folder.index(base)))),
    before,
  );
});

test("a torn tail is a note, and repair cuts exactly it", async () => {
  await folder.writeRaw();
  const whole = await readFile(folder.store(20));
  await writeFile(
    folder.store(20),
    Buffer.concat([whole, Buffer.from([9, 0, 0, 0, 0, 0, 0, 0, 1])]),
  );
  const found = await folder.findings();
  assert.deepEqual(
    found.map(({ severity, offset, position }) => [severity, offset, position]),
    [["note", 25, whole.length]],
  );
  assert.equal((await runCli(["log", "verify", folder.dir])).code, 0);
  assert.equal((await runCli(["log", "repair", folder.dir, "--yes"])).code, 0);
  assert.deepEqual(await readFile(folder.store(20)), whole);
});

test("repair leaves damaged records as they are, and exits with 1", async () => {
  await folder.writeRaw();
  await flipByte(folder.store(0), 3 * 16 + 7);
  const before = await readFile(folder.store(0));
  const { code, stdout } = await runCli(["log", "repair", folder.dir, "--yes"]);
  assert.equal(code, 1);
  assert.match(stdout.toString(), /offset 3: a frame's length is impossible: left as it is/);
  assert.deepEqual(await readFile(folder.store(0)), before);
});

test("repair asks first, and without a terminal refuses", async () => {
  await folder.writeRaw();
  const { code, stderr } = await runCli(["log", "repair", folder.dir]);
  assert.equal(code, 2);
  assert.match(stderr, /add --yes/);
});

test("repair refuses a folder that another process uses, and names it", async () => {
  await folder.writeRaw();
  const { processIdentity } = await import("../../src/platform/process-identity.ts");
  await writeFile(join(folder.dir, "LOCK"), JSON.stringify(processIdentity()));
  const { code, stderr } = await runCli(["log", "repair", folder.dir, "--yes"]);
  assert.equal(code, 1);
  assert.match(stderr, new RegExp(`process ${process.pid} uses it`));
  const verify = await runCli(["log", "verify", folder.dir]);
  assert.equal(verify.code, 0);
  assert.match(verify.stderr, new RegExp(`Warning: process ${process.pid} uses the folder`));
});

test("a repair can be repeated: the second one finds nothing", async () => {
  await folder.writeRaw();
  await unlink(folder.index(10));
  const counts = { segments: 0, records: 0, bytes: 0 };
  const opened = await openFolder(folder.dir);
  let steps = 0;
  const options = { counts, doesPutAside: false };
  for await (const step of repairFolder(opened, options)) {
    assert.notEqual(step.done, undefined);
    steps += 1;
  }
  assert.equal(steps, 1);
  for await (const step of repairFolder(opened, options)) assert.fail(step.finding.what);
});

test("quarantine gives up exactly the damaged records of a topic, and keeps their bytes", async () => {
  const topic = await folder.writeTopic();
  const path = topic.store(0);
  const whole = await readFile(path);
  const frameBytes = whole.length / SEGMENT_RECORDS;
  // The first, two in the middle that follow each other (one by its length), and the last.
  const damaged = [0, 4, 5, SEGMENT_RECORDS - 1];
  for (const record of damaged) {
    await flipByte(path, record * frameBytes + (record === 5 ? 6 : frameBytes - 1));
  }
  const before = await readFile(path);
  const plain = await runCli(["log", "repair", folder.dir, "--yes"]);
  assert.equal(plain.code, 1);
  assert.deepEqual(await readFile(path), before);
  const { stdout } = await runCli(["log", "repair", folder.dir, "--quarantine", "--yes"]);
  assert.equal(stdout.toString().match(/the record is gone/g)?.length, damaged.length);
  assert.deepEqual(
    (await folder.findings()).filter(({ file }) => file.endsWith(".log")),
    [],
  );
  for (const record of damaged) {
    const start = record * frameBytes;
    const kept = await readFile(`${path}.damaged-${start}`);
    assert.deepEqual(kept, before.subarray(start, start + frameBytes));
  }
  const repaired = await topic.open();
  assert.equal(repaired.nextOffset, NUMBERED.length);
  for await (const { offset, data } of repaired.scan(toOffset(0))) {
    const record = decodeRecord(data, offset);
    assert.equal(record.kind, damaged.includes(offset) ? "removed" : "record");
    if (record.kind === "record")
      assert.equal(Buffer.from(record.body).toString(), NUMBERED[offset]);
  }
  await repaired.close();
});

test("repair never makes records of zeros that the index does not vouch for", async () => {
  // Whether the index is there, and what follows the zeros.
  for (const fault of ["index as it was", "index gone", "index cut", "garbage behind"]) {
    await folder.writeRaw(["a", "b", "c", "d"]);
    const zeros = 8 * 1_000;
    const bytes = (await readFile(folder.store(0))).length;
    await truncate(folder.store(0), bytes + zeros);
    await truncate(folder.index(0), (4 + 10) * 16);
    if (fault === "index gone") await unlink(folder.index(0));
    if (fault === "index cut") await truncate(folder.index(0), 16);
    if (fault === "garbage behind") {
      await writeFile(
        folder.store(0),
        Buffer.concat([await readFile(folder.store(0)), Buffer.from([9, 0, 1])]),
      );
    }
    const { code, stdout, stderr } = await runCli(["log", "repair", folder.dir, "--yes"]);
    assert.equal(code, 0, `${fault}: ${stdout}${stderr}`);
    const log = await Log.openReadOnly({ fs: new NodeFileSystem(folder.dir), dir: "" });
    assert.equal(log.recovery.unvouchedFrom?.offset, 4, `${fault}: ${stdout}`);
    await log.close();
    assert.match(stdout.toString(), /empty records/, fault);
    assert.equal((await runCli(["log", "verify", folder.dir])).code, 0, fault);
    await rm(folder.dir, { recursive: true });
    await mkdir(folder.dir);
  }
});

test("empty records that the index vouches for are records, and stay so", async () => {
  await folder.writeRaw(["a", "", ""]);
  const before = await readFile(folder.index(0));
  await writeFile(
    folder.store(0),
    Buffer.concat([await readFile(folder.store(0)), Buffer.from([9, 0, 1])]),
  );
  assert.equal((await runCli(["log", "repair", folder.dir, "--yes"])).code, 0);
  assert.deepEqual(await readFile(folder.index(0)), before);
});
