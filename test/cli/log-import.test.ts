import assert from "node:assert/strict";
import { truncate } from "node:fs/promises";
import { afterEach, beforeEach, test } from "node:test";
import { flipByte, LogFolder } from "./support/log-folder.ts";
import { runCli } from "./support/run-cli.ts";
import { StubServer } from "./support/stub-server.ts";

let folder: LogFolder;
beforeEach(async () => {
  folder = await LogFolder.make();
});
afterEach(() => folder.remove());

test("import appends each frame as the value of a record", async () => {
  await folder.writeRaw(["a", "", "b"]);
  const server = await new StubServer().start();
  try {
    const env = { PROGLOG_SERVER: server.address };
    const { code, stderr } = await runCli(["log", "import", folder.dir, "orders"], { env });
    assert.equal(code, 0, stderr);
    assert.match(stderr, /Imported 3 records to orders, offsets 0-2/);
    const values = server.records.map(({ value }) => Buffer.from(value).toString());
    assert.deepEqual(values, ["a", "", "b"]);
    const missing = await runCli(["log", "import", folder.dir, "nosuch"], { env });
    assert.equal(missing.code, 3);
  } finally {
    await server.stop();
  }
});

test("import stops before zeros that the index does not vouch for, and says so", async () => {
  await folder.writeRaw(["a", "", "b"]);
  await truncate(folder.store(0), 1_000);
  await truncate(folder.index(0), 1_000);
  const server = await new StubServer().start();
  try {
    const env = { PROGLOG_SERVER: server.address };
    const { code, stderr } = await runCli(["log", "import", folder.dir, "orders"], { env });
    assert.equal(code, 0, stderr);
    assert.equal(server.records.length, 3);
    assert.match(stderr, /Left out \d+ empty records from offset 3 on/);
  } finally {
    await server.stop();
  }
});

test("import appends what comes before damage, then says where it stopped", async () => {
  await folder.writeRaw();
  await flipByte(folder.store(0), 3 * 16 + 7);
  const server = await new StubServer().start();
  try {
    const env = { PROGLOG_SERVER: server.address };
    const { code, stderr } = await runCli(["log", "import", folder.dir, "orders"], { env });
    assert.equal(code, 1);
    assert.equal(server.records.length, 3);
    assert.match(stderr, /Imported 3 records/);
  } finally {
    await server.stop();
  }
});
