import assert from "node:assert/strict";
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
} from "node:fs";
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { openFolder } from "../../../src/cli/data-folder.ts";
import { surveyNode, surveyTopics } from "../../../src/cli/survey-folder.ts";
import { verifyFolder } from "../../../src/cli/verify-folder.ts";
import { readOnly } from "../../support/read-only.ts";
import { makeFolder, RealServer, removeFolder } from "../support/real-server.ts";
import { type CliResult, killLeftovers, runCli } from "../support/run-cli.ts";

// Goal: the offline tools and the server agree about a folder. Method: a real server's folder,
// stopped cleanly, of which things are taken away.
let original: string;
let dir: string;
before(async () => {
  original = makeFolder();
  const server = await RealServer.start(original);
  await server.run(["topic", "create", "orders"]);
  await server.run(["produce", "orders", "--key", "k", "-H", "h=1"], "a\nb\nc\n");
  await server.run(["topic", "trim", "orders", "--before", "1", "--yes"]);
  assert.equal((await server.stop()).code, 0);
});
beforeEach(async () => {
  dir = makeFolder();
  await cp(original, dir, { recursive: true });
});
afterEach(() => {
  killLeftovers();
  removeFolder(dir);
});
after(() => removeFolder(original));

const verify = () => runCli(["log", "verify", dir]);

/** A start that must fail. */
const start = (): Promise<CliResult> =>
  runCli(["serve", "--data-dir", dir, "--listen", "127.0.0.1:0"]);

/** Everything below the folder that a write would change. */
function snapshot(): readonly unknown[] {
  return readdirSync(dir, { recursive: true, encoding: "utf8" })
    .toSorted()
    .map((name) => {
      const path = join(dir, name);
      const found = statSync(path);
      const { size, mtimeMs, mode } = found;
      const bytes = found.isFile() ? readFileSync(path) : undefined;
      return { name, size, mtimeMs, mode, bytes };
    });
}

function setModes(modes: { readonly file: number; readonly folder: number }): void {
  const names = readdirSync(dir, { recursive: true, encoding: "utf8" });
  for (const path of [dir, ...names.map((name) => join(dir, name))]) {
    chmodSync(path, statSync(path).isDirectory() ? modes.folder : modes.file);
  }
}

test("verify and inspect change nothing in a folder, and need no right to", async () => {
  // As a crash leaves it: a node that ended well left nothing to be mended.
  appendFileSync(join(dir, "topics", "2", `${"".padStart(20, "0")}.log`), Uint8Array.of(9, 0, 1));
  setModes({ file: 0o400, folder: 0o500 });
  try {
    const before = snapshot();
    for (const verb of ["verify", "inspect"]) {
      const { code, stderr } = await runCli(["log", verb, dir]);
      assert.equal(code, 0, stderr);
    }
    assert.deepEqual(snapshot(), before);
  } finally {
    setModes({ file: 0o600, folder: 0o700 });
  }
  // Who may do everything is stopped by no mode.
  const folder = await openFolder(dir);
  const guarded = { ...folder, fs: readOnly(folder.fs) };
  const counts = { segments: 0, records: 0, bytes: 0 };
  for await (const { severity, what } of verifyFolder(guarded, counts)) {
    assert.notEqual(severity, "damage", what);
  }
  assert.deepEqual((await surveyNode(guarded)).faults, []);
  const topics: number[] = [];
  for await (const { id } of surveyTopics(guarded)) topics.push(id);
  assert.deepEqual(topics, [0, 1, 2]);
});

test("a journal that is lost is damage, before and after the start that it is refused for", async () => {
  assert.equal((await verify()).code, 0);
  for (const name of readdirSync(join(dir, "journal"))) rmSync(join(dir, "journal", name));
  assert.equal((await verify()).code, 1);
  rmSync(join(dir, "journal"), { recursive: true });
  const missing = await verify();
  assert.equal(missing.code, 1);
  assert.match(missing.stdout.toString(), /^damage: journal: .*does not start without/);
  assert.equal((await start()).code, 1);
  assert.equal((await verify()).code, 1);
});

test("a catalogue that is lost is damage, with what the start does about it", async () => {
  rmSync(join(dir, "topics", "0", "checkpoint"));
  const { code, stdout } = await verify();
  assert.equal(code, 1);
  assert.match(stdout.toString(), /topics\/0\/checkpoint: .*the server does not start without it/);
  assert.equal((await start()).code, 1);
});

test("a topic whose creation was cut short is a note", async () => {
  mkdirSync(join(dir, "topics", "9"));
  const { code, stdout } = await verify();
  assert.equal(code, 0);
  assert.match(stdout.toString(), /^note: topics\/9: a folder that the journal does not know/);
});

test("import appends a topic's folder as the records they were, without what was trimmed", async () => {
  // The way out when the catalogue is lost.
  rmSync(join(dir, "topics", "0"), { recursive: true });
  const fresh = makeFolder();
  const server = await RealServer.start(fresh);
  try {
    const folder = join(dir, "topics", "2");
    await server.run(["topic", "create", "orders"]);
    await server.run(["topic", "create", "values"]);
    const whole = await server.run(["log", "import", dir, "orders"]);
    assert.match(whole.stderr, /name the folder of one topic, such as .*topics\/1/);
    const imported = await server.run(["log", "import", folder, "orders"]);
    assert.equal(imported.code, 0, imported.stderr);
    assert.match(imported.stderr, /is a topic of proglog/);
    const format = ["--format", "%o %k %v %h\\n"];
    const { stdout } = await server.run(["consume", "orders", ...format]);
    assert.equal(stdout.toString(), "0 k b h=1\n1 k c h=1\n");
    const raw = await server.run(["log", "import", folder, "values", "--raw"]);
    assert.equal(raw.code, 0, raw.stderr);
    assert.equal(await server.nextOffset("values"), 3);
    // Without its checkpoint nobody knows what was trimmed.
    rmSync(join(folder, "checkpoint"));
    assert.equal((await server.run(["log", "import", folder, "orders"])).code, 0);
    const again = await server.run(["consume", "orders", "--offset", "2", ...format]);
    assert.equal(again.stdout.toString(), "2 k a h=1\n3 k b h=1\n4 k c h=1\n");
  } finally {
    await server.stop();
    removeFolder(fresh);
  }
});

test("import says what is missing, and goes on after damage when told to", async () => {
  const fresh = makeFolder();
  const server = await RealServer.start(fresh);
  try {
    const limit = ["--max-segment-records", "10"];
    await server.run(["topic", "create", "old", ...limit]);
    for (const part of [0, 1, 2]) {
      const lines = Array.from({ length: 10 }, (_, line) => `${part * 10 + line}\n`).join("");
      await server.run(["produce", "old"], lines);
    }
    await server.run(["topic", "create", "cut"]);
    await server.run(["topic", "create", "skipped"]);
    await server.run(["topic", "create", "headless"]);
  } finally {
    await server.stop();
  }
  const folder = join(dir, "copy");
  await cp(join(fresh, "topics", "2"), folder, { recursive: true });
  const second = await RealServer.start(fresh);
  try {
    const store = join(folder, "00000000000000000000.log");
    truncateSync(store, statSync(store).size - 5);
    const cut = await second.run(["log", "import", folder, "cut"]);
    assert.equal(cut.code, 1);
    assert.equal(await second.nextOffset("cut"), 9);
    const skipped = await second.run(["log", "import", folder, "skipped", "--skip-damaged"]);
    assert.equal(skipped.code, 1);
    assert.match(skipped.stderr, /Missing: the records from offset 9 to 9 are damaged/);
    const { stdout } = await second.run(["consume", "skipped"]);
    const want = Array.from({ length: 30 }, (_, line) => `${line}`).filter((line) => line !== "9");
    assert.equal(stdout.toString(), `${want.join("\n")}\n`);
    rmSync(store);
    const headless = await second.run(["log", "import", folder, "headless"]);
    assert.equal(headless.code, 1);
    assert.match(headless.stderr, /from offset 0 to 9: their files are missing/);
    assert.equal(await second.nextOffset("headless"), 20);
  } finally {
    await second.stop();
    removeFolder(fresh);
  }
});
