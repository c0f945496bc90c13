import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { makeFolder, RealServer, removeFolder } from "../support/real-server.ts";
import { CliProcess, killLeftovers, runCli } from "../support/run-cli.ts";

// Goal: every command against the real server, faults first. Method: one server for all tests,
// each with topics of its own.
let dir = "";
let server: RealServer;
before(async () => {
  dir = makeFolder();
  server = await RealServer.start(join(dir, "data"));
});
after(async () => {
  killLeftovers();
  await server.kill();
  removeFolder(dir);
});

const run = (...args: string[]) => server.run(args);

async function create(topic: string, ...flags: string[]): Promise<void> {
  const { code, stderr } = await run("topic", "create", topic, ...flags);
  assert.equal(code, 0, stderr);
}

test("what is not there, exists already or cannot be is told by the exit code", async () => {
  await create("codes");
  for (const [args, code] of [
    [["topic", "get", "nosuch"], 3],
    [["topic", "delete", "nosuch", "--yes"], 3],
    [["topic", "trim", "nosuch", "--before", "1", "--yes"], 3],
    [["consume", "nosuch"], 3],
    [["consume", "codes", "--offset", "1"], 3],
    [["topic", "create", "codes"], 4],
    [["topic", "delete", "default", "--yes"], 4],
    [["topic", "create", "Not A Name"], 2],
    [["topic", "create", "x1", "--max-record-bytes", "1"], 2],
    [["topic", "create", "x2", "--retention-age", "1"], 2],
  ] as const) {
    const { code: got, stderr } = await run(...args);
    assert.equal(got, code, `${args.join(" ")}: ${stderr}`);
    assert.match(stderr, /^proglog: Cannot /);
  }
});

test("a record over the limit is named by its line, and what came before it is there", async () => {
  await create("limits", "--max-record-bytes", "1KiB");
  const input = `short\n${"x".repeat(500)}\n${"y".repeat(2000)}\nlast\n`;
  const { code, stderr } = await server.run(["produce", "limits"], input);
  assert.equal(code, 1);
  assert.match(stderr, /^proglog: Cannot append line 3 of standard input: /);
  assert.match(stderr, /--max-record-bytes/);
  assert.match(stderr, /Produced 2 records to limits, offsets 0-1\n$/);
  assert.doesNotMatch(stderr, /may have been appended or not/);
  // Line by line too: nothing behind the refused one is sent.
  const single = await server.run(["produce", "limits", "--batch-records", "1"], input);
  assert.equal(single.code, 1);
  assert.match(single.stderr, /Produced 2 records to limits, offsets 2-3\n$/);
  assert.equal(await server.nextOffset("limits"), 4);
  // The client counts as the server does: the largest that fits, and one byte more.
  const lengths = Array.from({ length: 60 }, (_, place) => 960 + place);
  let largest = 0;
  for (const length of lengths) {
    const record = { value: Buffer.alloc(length, "z").toString("base64") };
    const body = JSON.stringify({ topic: "limits", records: [record] });
    const url = `http://${server.address}/proglog.v1.LogService/Produce`;
    const headers = { "content-type": "application/json" };
    if ((await fetch(url, { method: "POST", headers, body })).ok) largest = length;
  }
  assert.ok(largest > 960 && largest < 1_019, `${largest}`);
  assert.equal((await server.run(["produce", "limits"], `${"z".repeat(largest)}\n`)).code, 0);
  const over = await server.run(["produce", "limits"], `${"z".repeat(largest + 1)}\n`);
  assert.equal(over.code, 1);
});

test("a topic's life: create, list, get, update, trim, delete", async () => {
  await create("life", "--retention-age", "7d", "--retention-bytes", "10GiB");
  await server.run(["produce", "life"], "a\nb\nc\n");
  const listed = await run("topic", "list", "--prefix", "lif", "-o", "json");
  assert.deepEqual(
    listed.stdout
      .toString()
      .trimEnd()
      .split("\n")
      .map((line) => (JSON.parse(line) as { name: string }).name),
    ["life"],
  );
  const shown = (await run("topic", "get", "life")).stdout.toString();
  assert.match(shown, /^next offset +3$/m);
  assert.match(shown, /^retention-age +7d$/m);
  assert.match(shown, /^retention-bytes +10GiB$/m);
  assert.match(shown, /^max-record-bytes +1MiB \(default\)$/m);
  const updated = await run(
    "topic",
    "update",
    "life",
    "--reset",
    "retention-age",
    "--max-segment-records",
    "7",
  );
  assert.equal(updated.code, 0, updated.stderr);
  const after = JSON.parse((await run("topic", "get", "life", "-o", "json")).stdout.toString());
  assert.equal(after.topic.settings.retentionAge, undefined);
  assert.equal(after.topic.settings.maxSegmentRecords, 7);
  assert.equal(after.topic.settings.retentionBytes, String(10 * 2 ** 30));
  const trimmed = await run("topic", "trim", "life", "--before", "-1", "--yes");
  assert.match(trimmed.stderr, /Trimmed topic life: its first offset is 2/);
  assert.equal((await run("consume", "life")).stdout.toString(), "c\n");
  const tooLow = await run("consume", "life", "--offset", "0");
  assert.equal(tooLow.code, 3);
  assert.equal((await run("topic", "delete", "life", "--yes")).code, 0);
  assert.equal((await run("topic", "get", "life")).code, 3);
});

test("a file of every byte goes in and comes out identical", async () => {
  await create("bytes");
  const file = join(dir, "input");
  // Many lengths, some of them longer than what is read at once.
  const parts = Array.from({ length: 400 }, (_, place) => randomBytes((place * 97) % 3000));
  const content = Buffer.concat([...parts, Buffer.alloc(700_000, 120), Buffer.from("\n\n\n")]);
  writeFileSync(file, content);
  const shell = (line: string) =>
    execFileSync("bash", ["-c", `set -o pipefail; ${line}`], {
      env: { ...process.env, PROGLOG_SERVER: server.address, P: process.execPath, F: file },
      maxBuffer: 2 ** 30,
      stdio: ["ignore", "pipe", "ignore"],
    });
  const main = `"$P" '${new URL("../../../src/main.ts", import.meta.url).pathname}'`;
  shell(`${main} produce bytes < "$F"`);
  shell(`cat "$F" | ${main} produce bytes`);
  shell(`${main} produce bytes "$F"`);
  const got = shell(`${main} consume bytes`);
  assert.ok(got.equals(Buffer.concat([content, content, content])));
  // Who reads only the first line does not make it fail.
  const first = shell(`${main} consume bytes | head -c 10`);
  assert.ok(first.equals(content.subarray(0, 10)));
});

test("records can be found by time, from the end, and by number", async () => {
  await create("places");
  await server.run(["produce", "places"], "a\nb\n");
  const line = await run("consume", "places", "--offset", "-1", "--format", "%d");
  const time = line.stdout.toString();
  await new Promise((resolve) => setTimeout(resolve, 5));
  await server.run(["produce", "places"], "c\n");
  const consume = async (...args: string[]) =>
    (await run("consume", "places", ...args)).stdout.toString();
  assert.equal(await consume("--offset", `@${time}`), "a\nb\nc\n");
  assert.equal(await consume("--offset", "@2999-01-01"), "");
  assert.equal(await consume("--offset", "-2"), "b\nc\n");
  assert.equal(await consume("--offset", "1", "-n", "1"), "b\n");
  assert.equal(await consume("--offset", "end"), "");
  assert.equal(await consume("--offset", "3"), "", "the next offset is a place too");
});

test("with a producer every line is there once, although the server is killed meanwhile", async () => {
  const data = join(dir, "once");
  let one = await RealServer.start(data);
  const flags = ["--listen", one.address];
  const env = { PROGLOG_SERVER: one.address };
  const producer = new CliProcess(["produce", "default", "--producer-id", "p"], env);
  try {
    const total = 60_000;
    for (let line = 0; line < total; line += 1_000) {
      const lines = Array.from({ length: 1_000 }, (_, place) => `line ${line + place}\n`);
      producer.write(lines.join(""));
      if (line === 20_000 || line === 40_000) {
        while ((await one.nextOffset("default")) < line / 2);
        await one.kill();
        one = await RealServer.start(data, flags);
      }
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    const { code, stderr } = await producer.end();
    assert.equal(code, 0, stderr);
    assert.match(stderr, /Produced 60000 records to default, offsets 0-59999\n$/);
    const { stdout } = await one.run(["consume", "default"]);
    const want = Array.from({ length: total }, (_, line) => `line ${line}\n`).join("");
    assert.equal(stdout.toString(), want);
  } finally {
    producer.child.kill("SIGKILL");
    await one.kill();
  }
});

test("after kill -9 verify finds no damage; a flipped bit is found, and reading it fails", async () => {
  const data = join(dir, "damage");
  let one = await RealServer.start(data);
  await one.run(["produce", "default"], "one\ntwo\nthree\n");
  const busy = await runCli(["log", "verify", data]);
  assert.match(
    busy.stderr,
    new RegExp(`Warning: process ${one.process.child.pid} uses the folder`),
  );
  await one.kill();
  const clean = await runCli(["log", "verify", data]);
  assert.equal(clean.code, 0, clean.stdout.toString());
  one = await RealServer.start(data);
  assert.equal((await one.stop()).code, 0);
  const topic = join(data, "topics", "1");
  const store = join(topic, readdirSync(topic).find((name) => name.endsWith(".log")) ?? "");
  const bytes = readFileSync(store);
  const at = bytes.indexOf("two");
  bytes[at] = 0x54;
  writeFileSync(store, bytes);
  const verified = await runCli(["log", "verify", data]);
  assert.equal(verified.code, 1);
  assert.match(verified.stdout.toString(), /^damage: topics\/1\/\d+\.log at byte \d+, offset 1: /);
  const repaired = await runCli(["log", "repair", data, "--yes"]);
  assert.equal(repaired.code, 1);
  assert.ok(readFileSync(store).equals(bytes), "nobody guesses");
  one = await RealServer.start(data);
  const read = await one.run(["consume", "default"]);
  assert.equal(read.code, 1);
  assert.match(read.stderr, /offset 1/);
  assert.equal(
    (await one.run(["consume", "default", "--offset", "2"])).stdout.toString(),
    "three\n",
  );
  await one.stop();
  const given = await runCli(["log", "repair", data, "--quarantine", "--yes"]);
  assert.equal(given.code, 0, given.stdout.toString());
  one = await RealServer.start(data);
  const rest = await one.run(["consume", "default", "--format", "%o %v\\n"]);
  assert.equal(rest.stdout.toString(), "0 one\n2 three\n");
  assert.equal((await one.run(["produce", "default"], "four\n")).code, 0);
  await one.kill();
});

test("a log in the seed's format is imported into a topic", async () => {
  const old = join(dir, "seed");
  const { Log } = await import("../../../src/storage/log.ts");
  const { NodeFileSystem } = await import("../../../src/platform/node-file-system.ts");
  const { SystemClock } = await import("../../../src/platform/system-clock.ts");
  const { SILENT_LOGGER } = await import("../../../src/base/log.ts");
  const log = await Log.open({
    fs: new NodeFileSystem(dir),
    dir: "seed",
    logger: SILENT_LOGGER,
    clock: new SystemClock(),
    segmentBytesMax: 64,
    segmentRecordsMax: 100,
  });
  log.appendData(["hello", "", "world!!!"].map((text) => Buffer.from(text)));
  for (let place = 0; place < 50; place += 1) log.appendData([Buffer.from(`record ${place}`)]);
  await log.sync();
  await log.close();
  await create("imported");
  const { code, stderr } = await run("log", "import", old, "imported");
  assert.equal(code, 0, stderr);
  const { stdout } = await run("consume", "imported", "-n", "4");
  assert.equal(stdout.toString(), "hello\n\nworld!!!\nrecord 0\n");
  const refused = await run("log", "import", join(dir, "data"), "imported");
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /it is a server's data folder/);
});
