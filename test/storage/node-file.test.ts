import assert from "node:assert/strict";
import { readNodeFile, writeNodeFile } from "../../src/storage/node-file.ts";
import { onDisks, readFile, text, utf8, writeFile } from "./fixture.ts";

const IDENTITY = {
  nodeId: "n1",
  clusterId: "c1",
  folderNonce: "0a",
  createTimeUs: 1_764_000_000_000_000,
};

onDisks("node.json that is not ours, or of another version, is refused", async (fs) => {
  await writeFile(fs, "x/y", utf8("a folder that is not empty"));
  assert.equal(await readNodeFile(fs), undefined);
  const good = { ...IDENTITY, formatVersion: 1 };
  for (const content of [
    "",
    "{",
    "[]",
    "null",
    "\xff",
    JSON.stringify({ ...good, formatVersion: 2 }),
    JSON.stringify({ ...good, formatVersion: undefined }),
    JSON.stringify({ ...good, nodeId: 5 }),
    JSON.stringify({ ...good, clusterId: undefined }),
    JSON.stringify({ ...good, folderNonce: 1 }),
    JSON.stringify({ ...good, createTimeUs: "now" }),
    " ".repeat(100_000),
  ]) {
    await writeRoot(fs, content);
    await assert.rejects(readNodeFile(fs), { reason: "DATA_DIR_INVALID" }, content.slice(0, 80));
  }
});

onDisks("node.json is written as people can read it, and read back", async (fs) => {
  await writeNodeFile(fs, IDENTITY);
  assert.deepEqual(await readNodeFile(fs), IDENTITY);
  assert.equal(
    text(await readFile(fs, "node.json")),
    '{\n  "nodeId": "n1",\n  "clusterId": "c1",\n  "folderNonce": "0a",\n  "formatVersion": 1,\n  "createTimeUs": 1764000000000000\n}\n',
  );
  assert.deepEqual(await fs.list(""), ["node.json"]);
});

async function writeRoot(fs: Parameters<typeof writeFile>[0], content: string): Promise<void> {
  await writeFile(fs, "./node.json", utf8(content));
}
