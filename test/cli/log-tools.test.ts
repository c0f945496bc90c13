import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, truncate, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { SILENT_LOGGER } from "../../src/base/log.ts";
import { spansOf } from "../../src/base/record-spans.ts";
import { toOffset } from "../../src/base/units.ts";
import { openFolder } from "../../src/cli/data-folder.ts";
import { repairFolder } from "../../src/cli/repair-folder.ts";
import { type FolderFinding, verifyFolder } from "../../src/cli/verify-folder.ts";
import { NodeFileSystem } from "../../src/platform/node-file-system.ts";
import { SystemClock } from "../../src/platform/system-clock.ts";
import { writeCheckpoint } from "../../src/storage/checkpoint.ts";
import { checkFrame, decodeRecord, encodeBatch } from "../../src/storage/frame.ts";
import { Log } from "../../src/storage/log.ts";
import { runCli } from "./support/run-cli.ts";
import { StubServer } from "./support/stub-server.ts";

// Goal: the offline tools tell the truth about a log and never lose a record. Method: damage
// a log of three segments in every way, and look at what they say and leave.
let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "proglog-tools-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const RECORDS = 25;
const SEGMENT_RECORDS = 10;
const STORE = (base: number) => join(dir, `${String(base).padStart(20, "0")}.log`);
const INDEX = (base: number) => join(dir, `${String(base).padStart(20, "0")}.idx`);

async function writeRawLog(values: readonly string[]): Promise<void> {
  const log = await Log.open({
    fs: new NodeFileSystem(dir),
    dir: "",
    logger: SILENT_LOGGER,
    clock: new SystemClock(),
    segmentBytesMax: 1_000_000,
    segmentRecordsMax: SEGMENT_RECORDS,
  });
  for (const value of values) log.appendData([Buffer.from(value)]);
  await log.sync();
  await log.close();
}

const numbered = Array.from({ length: RECORDS }, (_, place) => `record ${place}`);

async function findings(): Promise<FolderFinding[]> {
  const found: FolderFinding[] = [];
  const counts = { segments: 0, records: 0, bytes: 0 };
  for await (const finding of verifyFolder(await openFolder(dir), counts)) found.push(finding);
  return found;
}

async function flipByte(path: string, at: number): Promise<void> {
  const bytes = await readFile(path);
  bytes[at] = (bytes[at] ?? 0) ^ 0x40;
  await writeFile(path, bytes);
}

test("a folder that holds no log is refused, with what is wrong about it", async () => {
  await assert.rejects(openFolder(join(dir, "none")), /there is no such folder/);
  await assert.rejects(openFolder(dir), /it holds neither a server's data nor a log's segments/);
  await writeFile(join(dir, "file"), "");
  await assert.rejects(openFolder(join(dir, "file")), /there is no such folder/);
  for (const verb of ["inspect", "verify"]) {
    assert.equal((await runCli(["log", verb, dir])).code, 1);
  }
});

test("a log without a fault has no findings, and verify exits with 0", async () => {
  await writeRawLog(numbered);
  assert.deepEqual(await findings(), []);
  const { code, stdout, stderr } = await runCli(["log", "verify", dir]);
  assert.equal(code, 0);
  assert.equal(stdout.length, 0);
  assert.match(stderr, /Checked 25 records in 3 segments/);
});

test("a damaged length in a closed segment is found at its place, and the rest is still read", async () => {
  await writeRawLog(numbered);
  // Record 3: behind three frames of 8 + 8 bytes; its highest length byte.
  await flipByte(STORE(0), 3 * 16 + 7);
  const [found, ...others] = await findings();
  assert.deepEqual(others, []);
  assert.equal(found?.severity, "damage");
  assert.equal(found.offset, 3);
  assert.equal(found.position, 48);
  assert.equal(found.what, "a frame's length is impossible");
  const { code, stdout } = await runCli(["log", "verify", dir, "-o", "json"]);
  assert.equal(code, 1);
  assert.equal((JSON.parse(stdout.toString()) as { offset: number }).offset, 3);
});

test("a damaged length without an index to go on by ends the segment, and says so", async () => {
  await writeRawLog(numbered);
  await flipByte(STORE(0), 3 * 16 + 7);
  await truncate(INDEX(0), 16);
  const found = await findings();
  assert.match(found[0]?.what ?? "", /and with it all that follows in this segment$/);
});

test("a closed segment that is too short is a gap", async () => {
  await writeRawLog(numbered);
  await truncate(STORE(10), 5 * 17);
  const found = await findings();
  assert.ok(
    found.some(({ severity, offset }) => severity === "damage" && offset === 15),
    JSON.stringify(found),
  );
});

test("an index that is gone, cut or wrong is made anew by repair, byte for byte", async () => {
  await writeRawLog(numbered);
  const before = await Promise.all([0, 10, 20].map((base) => readFile(INDEX(base))));
  await unlink(INDEX(0));
  await flipByte(INDEX(10), 9);
  await truncate(INDEX(20), 17);
  assert.deepEqual(
    (await findings()).map(({ severity, offset }) => [severity, offset]),
    [
      ["damage", 0],
      ["damage", 10],
      ["damage", 20],
    ],
  );
  const { code, stderr } = await runCli(["log", "repair", dir, "--yes"]);
  assert.equal(code, 0, stderr);
  assert.match(stderr, /Mended 3, damage left: 0/);
  assert.deepEqual(await findings(), []);
  assert.deepEqual(await Promise.all([0, 10, 20].map((base) => readFile(INDEX(base)))), before);
});

test("a torn tail is a note, and repair cuts exactly it", async () => {
  await writeRawLog(numbered);
  const whole = await readFile(STORE(20));
  await writeFile(STORE(20), Buffer.concat([whole, Buffer.from([9, 0, 0, 0, 0, 0, 0, 0, 1])]));
  const found = await findings();
  assert.deepEqual(
    found.map(({ severity, offset, position }) => [severity, offset, position]),
    [["note", 25, whole.length]],
  );
  assert.equal((await runCli(["log", "verify", dir])).code, 0);
  assert.equal((await runCli(["log", "repair", dir, "--yes"])).code, 0);
  assert.deepEqual(await readFile(STORE(20)), whole);
});

test("repair leaves damaged records as they are, and exits with 1", async () => {
  await writeRawLog(numbered);
  await flipByte(STORE(0), 3 * 16 + 7);
  const before = await readFile(STORE(0));
  const { code, stdout } = await runCli(["log", "repair", dir, "--yes"]);
  assert.equal(code, 1);
  assert.match(stdout.toString(), /offset 3: a frame's length is impossible: left as it is/);
  assert.deepEqual(await readFile(STORE(0)), before);
});

test("repair asks first, and without a terminal refuses", async () => {
  await writeRawLog(numbered);
  const { code, stderr } = await runCli(["log", "repair", dir]);
  assert.equal(code, 2);
  assert.match(stderr, /add --yes/);
});

test("repair refuses a folder that another process uses, and names it", async () => {
  await writeRawLog(numbered);
  const { processIdentity } = await import("../../src/platform/process-identity.ts");
  await writeFile(join(dir, "LOCK"), JSON.stringify(processIdentity()));
  const { code, stderr } = await runCli(["log", "repair", dir, "--yes"]);
  assert.equal(code, 1);
  assert.match(stderr, new RegExp(`process ${process.pid} uses it`));
  const verify = await runCli(["log", "verify", dir]);
  assert.equal(verify.code, 0);
  assert.match(verify.stderr, new RegExp(`Warning: process ${process.pid} uses the folder`));
});

test("a repair can be repeated: the second one finds nothing", async () => {
  await writeRawLog(numbered);
  await unlink(INDEX(10));
  const counts = { segments: 0, records: 0, bytes: 0 };
  const folder = await openFolder(dir);
  let steps = 0;
  const options = { counts, doesPutAside: false };
  for await (const step of repairFolder(folder, options)) {
    assert.notEqual(step.done, undefined);
    steps += 1;
  }
  assert.equal(steps, 1);
  for await (const step of repairFolder(folder, options)) assert.fail(step.finding.what);
});

test("inspect shows segments of a raw log, as a table and as JSON", async () => {
  await writeRawLog(numbered);
  const text = (await runCli(["log", "inspect", dir])).stdout.toString();
  assert.match(text, /^first offset {2}0\nnext offset {3}25\n/);
  assert.match(text, /\n20 +25 +5 +85 +80 +open\n/);
  const json = await runCli(["log", "inspect", dir, "-o", "json"]);
  const survey = JSON.parse(json.stdout.toString()) as { segments: unknown[]; nextOffset: number };
  assert.equal(survey.segments.length, 3);
  assert.equal(survey.nextOffset, 25);
  assert.equal((await runCli(["log", "inspect", dir, "1"])).code, 2);
});

test("verify finds a flipped bit anywhere in a record of a topic, and goes on after it", async () => {
  const topic = join(dir, "topics", "1");
  await mkdir(topic, { recursive: true });
  const log = await Log.open({
    fs: new NodeFileSystem(topic),
    dir: "",
    logger: SILENT_LOGGER,
    clock: new SystemClock(),
    segmentBytesMax: 1_000_000,
    segmentRecordsMax: SEGMENT_RECORDS,
  });
  for (const [place, value] of numbered.entries()) {
    const records = spansOf([Buffer.from(value)]);
    log.append(
      encodeBatch({ firstOffset: toOffset(place), raftIndex: 2, appendTimeUs: 5, records }),
    );
  }
  await log.sync();
  await log.close();
  const path = join(topic, `${"".padStart(20, "0")}.log`);
  const whole = await readFile(path);
  const frameBytes = whole.length / SEGMENT_RECORDS;
  for (let byte = 0; byte < frameBytes; byte += 1) {
    await flipByte(path, 4 * frameBytes + byte);
    const found = (await findings()).filter(({ file }) => file.endsWith(".log"));
    assert.deepEqual(
      found.map(({ severity, offset, topicId }) => [severity, offset, topicId]),
      [["damage", 4, 1]],
      `byte ${byte}`,
    );
    await writeFile(path, whole);
  }
});

test("quarantine gives up exactly the damaged records of a topic, and keeps their bytes", async () => {
  const topic = join(dir, "topics", "1");
  await mkdir(topic, { recursive: true });
  const open = () =>
    Log.open({
      fs: new NodeFileSystem(topic),
      dir: "",
      logger: SILENT_LOGGER,
      clock: new SystemClock(),
      check: checkFrame,
      segmentBytesMax: 1_000_000,
      segmentRecordsMax: SEGMENT_RECORDS,
    });
  const log = await open();
  for (const [place, value] of numbered.entries()) {
    const input = { firstOffset: toOffset(place), raftIndex: 2 + place, appendTimeUs: 5 };
    log.append(encodeBatch({ ...input, records: spansOf([Buffer.from(value)]) }));
  }
  await log.sync();
  await log.close();
  const path = join(topic, `${"".padStart(20, "0")}.log`);
  const whole = await readFile(path);
  const frameBytes = whole.length / SEGMENT_RECORDS;
  // The first, two in the middle that follow each other (one by its length), and the last.
  const damaged = [0, 4, 5, SEGMENT_RECORDS - 1];
  for (const record of damaged) {
    await flipByte(path, record * frameBytes + (record === 5 ? 6 : frameBytes - 1));
  }
  const before = await readFile(path);
  const plain = await runCli(["log", "repair", dir, "--yes"]);
  assert.equal(plain.code, 1);
  assert.deepEqual(await readFile(path), before);
  const { stdout } = await runCli(["log", "repair", dir, "--quarantine", "--yes"]);
  assert.equal(stdout.toString().match(/the record is gone/g)?.length, damaged.length);
  assert.deepEqual(
    (await findings()).filter(({ file }) => file.endsWith(".log")),
    [],
  );
  for (const record of damaged) {
    const start = record * frameBytes;
    const kept = await readFile(`${path}.damaged-${start}`);
    assert.deepEqual(kept, before.subarray(start, start + frameBytes));
  }
  const repaired = await open();
  assert.equal(repaired.nextOffset, RECORDS);
  for await (const { offset, data } of repaired.scan(toOffset(0))) {
    const record = decodeRecord(data, offset);
    assert.equal(record.kind, damaged.includes(offset) ? "removed" : "record");
    if (record.kind === "record")
      assert.equal(Buffer.from(record.body).toString(), numbered[offset]);
  }
  await repaired.close();
});

test("import appends each frame as the value of a record", async () => {
  await writeRawLog(["a", "", "b"]);
  const server = await new StubServer().start();
  try {
    const env = { PROGLOG_SERVER: server.address };
    const { code, stderr } = await runCli(["log", "import", dir, "orders"], { env });
    assert.equal(code, 0, stderr);
    assert.match(stderr, /Imported 3 records to orders, offsets 0-2/);
    const values = server.records.map(({ value }) => Buffer.from(value).toString());
    assert.deepEqual(values, ["a", "", "b"]);
    const missing = await runCli(["log", "import", dir, "nosuch"], { env });
    assert.equal(missing.code, 3);
  } finally {
    await server.stop();
  }
});

test("import stops before zeros that the index does not vouch for, and says so", async () => {
  await writeRawLog(["a", "", "b"]);
  await truncate(STORE(0), 1_000);
  await truncate(INDEX(0), 1_000);
  const server = await new StubServer().start();
  try {
    const env = { PROGLOG_SERVER: server.address };
    const { code, stderr } = await runCli(["log", "import", dir, "orders"], { env });
    assert.equal(code, 0, stderr);
    assert.equal(server.records.length, 3);
    assert.match(stderr, /Left out \d+ empty records from offset 3 on/);
  } finally {
    await server.stop();
  }
});

test("import appends what comes before damage, then says where it stopped", async () => {
  await writeRawLog(numbered);
  await flipByte(STORE(0), 3 * 16 + 7);
  const server = await new StubServer().start();
  try {
    const env = { PROGLOG_SERVER: server.address };
    const { code, stderr } = await runCli(["log", "import", dir, "orders"], { env });
    assert.equal(code, 1);
    assert.equal(server.records.length, 3);
    assert.match(stderr, /Imported 3 records/);
  } finally {
    await server.stop();
  }
});

test("repair never makes records of zeros that the index does not vouch for", async () => {
  // Whether the index is there, and what follows the zeros.
  for (const fault of ["index as it was", "index gone", "index cut", "garbage behind"]) {
    await writeRawLog(["a", "b", "c", "d"]);
    const zeros = 8 * 1_000;
    const bytes = (await readFile(STORE(0))).length;
    await truncate(STORE(0), bytes + zeros);
    await truncate(INDEX(0), (4 + 10) * 16);
    if (fault === "index gone") await unlink(INDEX(0));
    if (fault === "index cut") await truncate(INDEX(0), 16);
    if (fault === "garbage behind") {
      await writeFile(STORE(0), Buffer.concat([await readFile(STORE(0)), Buffer.from([9, 0, 1])]));
    }
    const { code, stdout, stderr } = await runCli(["log", "repair", dir, "--yes"]);
    assert.equal(code, 0, `${fault}: ${stdout}${stderr}`);
    const log = await Log.openReadOnly({ fs: new NodeFileSystem(dir), dir: "" });
    assert.equal(log.recovery.unvouchedFrom?.offset, 4, `${fault}: ${stdout}`);
    await log.close();
    assert.match(stdout.toString(), /empty records/, fault);
    assert.equal((await runCli(["log", "verify", dir])).code, 0, fault);
    await rm(dir, { recursive: true });
    await mkdir(dir);
  }
});

test("empty records that the index vouches for are records, and stay so", async () => {
  await writeRawLog(["a", "", ""]);
  const before = await readFile(INDEX(0));
  await writeFile(STORE(0), Buffer.concat([await readFile(STORE(0)), Buffer.from([9, 0, 1])]));
  assert.equal((await runCli(["log", "repair", dir, "--yes"])).code, 0);
  assert.deepEqual(await readFile(INDEX(0)), before);
});

test("behind a topic's checkpoint an index that does not fit is a note, also of a later segment", async () => {
  const topic = join(dir, "topics", "1");
  await mkdir(topic, { recursive: true });
  const fs = new NodeFileSystem(topic);
  const log = await Log.open({
    ...{ fs, dir: "", logger: SILENT_LOGGER, clock: new SystemClock() },
    segmentBytesMax: 1_000_000,
    segmentRecordsMax: SEGMENT_RECORDS,
  });
  for (const [place, value] of numbered.entries()) {
    const input = { firstOffset: toOffset(place), raftIndex: 2 + place, appendTimeUs: 5 };
    log.append(encodeBatch({ ...input, records: spansOf([Buffer.from(value)]) }));
  }
  const { segments } = await log.sync();
  await log.close();
  await writeCheckpoint(fs, "", {
    ...{ topicId: 1, replicaId: 2, appliedIndex: 11, appliedTerm: 1, startOffset: 0 },
    nextOffset: SEGMENT_RECORDS,
    extent: { segments: segments.slice(0, 1) },
    confState: new Uint8Array(0),
    state: new Uint8Array(0),
  });
  const severities = async () =>
    (await findings()).flatMap(({ file, severity }) => (file.endsWith(".idx") ? [severity] : []));
  for (const base of [10, 20]) await truncate(join(topic, INDEX(base).slice(dir.length)), 17);
  assert.deepEqual(await severities(), ["note", "note"]);
  await truncate(join(topic, INDEX(0).slice(dir.length)), 17);
  assert.deepEqual(await severities(), ["damage", "note", "note"]);
});
