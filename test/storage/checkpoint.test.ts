import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { concat, viewOf } from "../../src/base/bytes.ts";
import { crc32 } from "../../src/platform/crc32.ts";
import type { FileSystem } from "../../src/platform/file-system.ts";
import {
  type Checkpoint,
  decodeCheckpoint,
  encodeCheckpoint,
  readCheckpoint,
  writeCheckpoint,
} from "../../src/storage/checkpoint.ts";
import { CHECKPOINT_PENDING_NAME } from "../../src/storage/layout.ts";
import { runGolden } from "../support/golden.ts";
import { makeRandom, seedsFromEnv } from "../support/prng.ts";
import { settle } from "../support/sim-clock.ts";
import { SimCrash, SimFileSystem } from "../support/sim-file-system.ts";
import { hex, onDisks, readFile, utf8, writeFile } from "./fixture.ts";

const DIR = "topics/7";
const PATH = `${DIR}/checkpoint`;

const CHECKPOINT: Checkpoint = {
  topicId: 7,
  replicaId: 3,
  appliedIndex: 1000,
  appliedTerm: 2,
  confState: utf8("conf"),
  startOffset: 5,
  nextOffset: 12,
  extent: {
    segments: [
      { base: 4, records: 6, storeBytes: 600 },
      { base: 10, records: 2, storeBytes: 200 },
    ],
  },
  state: utf8("state"),
};

test("a checkpoint's bytes match testdata/checkpoint.txt", async () => {
  await runGolden(new URL("testdata/checkpoint.txt", import.meta.url), {
    encode: () => hex(encodeCheckpoint(CHECKPOINT)),
  });
});

test("encodeCheckpoint() and decodeCheckpoint() undo each other", () => {
  const number = fc.maxSafeNat();
  const bytes = fc.uint8Array({ maxLength: 50 });
  const segments = fc.array(fc.record({ base: number, records: number, storeBytes: number }));
  const checkpoint = fc.record({
    topicId: number,
    replicaId: number,
    appliedIndex: number,
    appliedTerm: number,
    confState: bytes,
    startOffset: number,
    nextOffset: number,
    extent: fc.record({ segments }),
    state: bytes,
  });
  fc.assert(
    fc.property(checkpoint, (wanted) => {
      const found = decodeCheckpoint(encodeCheckpoint(wanted), PATH);
      assert.deepEqual(JSON.stringify(found), JSON.stringify(wanted));
    }),
  );
});

test("any cut, any flipped bit and anything behind it is damage", () => {
  const bytes = encodeCheckpoint(CHECKPOINT);
  for (let cut = 0; cut < bytes.length; cut += 1) {
    assert.equal(decodeCheckpoint(bytes.subarray(0, cut), PATH), "damaged");
  }
  for (let bit = 0; bit < bytes.length * 8; bit += 1) {
    const flipped = bytes.slice();
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    assert.equal(decodeCheckpoint(flipped, PATH), "damaged", `bit ${bit}`);
  }
  assert.equal(decodeCheckpoint(concat([bytes, Uint8Array.of(0)]), PATH), "damaged");
  // With a CRC that fits, too.
  const longer = concat([bytes.subarray(0, -4), Uint8Array.of(0)]);
  assert.equal(decodeCheckpoint(sealed(longer), PATH), "damaged");
  assert.equal(decodeCheckpoint(sealed(bytes.subarray(0, 20)), PATH), "damaged");
});

test("a checkpoint of another version is refused, not taken for damage", () => {
  const body = encodeCheckpoint(CHECKPOINT).slice(0, -4);
  body[8] = 2;
  assert.throws(() => decodeCheckpoint(sealed(body), PATH), {
    reason: "DATA_DIR_INVALID",
    message: 'Cannot read "topics/7/checkpoint": it is of version 2, wanted 1',
  });
});

onDisks(
  "a checkpoint is written, replaced and read back; a pending one lies beside it",
  async (fs) => {
    await fs.makeDir(DIR);
    assert.equal(await readCheckpoint(fs, DIR), undefined);
    await writeCheckpoint(fs, DIR, CHECKPOINT);
    await writeCheckpoint(fs, DIR, { ...CHECKPOINT, nextOffset: 13, state: new Uint8Array(0) });
    await writeCheckpoint(fs, DIR, CHECKPOINT, CHECKPOINT_PENDING_NAME);
    const found = await readCheckpoint(fs, DIR);
    assert.deepEqual(found, { ...CHECKPOINT, nextOffset: 13, state: new Uint8Array(0) });
    assert.deepEqual(await readCheckpoint(fs, DIR, CHECKPOINT_PENDING_NAME), CHECKPOINT);
    assert.deepEqual(await fs.list(DIR), ["checkpoint", "checkpoint.pending"]);
    await writeFile(fs, PATH, (await readFile(fs, PATH)).subarray(1));
    assert.equal(await readCheckpoint(fs, DIR), "damaged");
  },
);

test("no space leaves the checkpoint before valid; any other error is the disk's failure", async () => {
  const fs = new SimFileSystem(makeRandom(1));
  await fs.makeDir(DIR);
  await writeCheckpoint(fs, DIR, CHECKPOINT);
  for (const op of ["open", "write"] as const) {
    fs.failNext({ op }, "ENOSPC");
    await assert.rejects(writeCheckpoint(fs, DIR, CHECKPOINT), { reason: "DISK_FULL" });
    assert.deepEqual(await readCheckpoint(fs, DIR), CHECKPOINT);
  }
  for (const op of ["open", "write", "truncate", "sync", "rename", "syncDir"] as const) {
    fs.failNext({ op }, "EIO");
    await assert.rejects(writeCheckpoint(fs, DIR, CHECKPOINT), { reason: "DISK_FAILED" });
  }
  fs.failNext({ op: "read" }, "EIO");
  await assert.rejects(readCheckpoint(fs, DIR), { reason: "DISK_FAILED" });
});

// Goal: after a power cut there is a whole checkpoint: the last that was written or the one after it.
for (const seed of seedsFromEnv(50)) {
  test(`a checkpoint is never torn by a power cut (seed ${seed})`, async () => {
    const random = makeRandom(seed);
    let fs = new SimFileSystem(random);
    await fs.makeDir(DIR);
    await syncFolders(fs);
    let written = -1;
    for (let life = 0; life < 3; life += 1) {
      const end = fs.steps + 1 + Math.floor(random() * 40);
      fs.onStep((step) => {
        if (step === end) throw new SimCrash();
      });
      let begun = written;
      try {
        for (;;) {
          begun = written + 1;
          await writeCheckpoint(fs, DIR, { ...CHECKPOINT, nextOffset: begun });
          written = begun;
        }
      } catch (error) {
        assert.ok(error instanceof SimCrash);
      }
      await settle();
      fs.crash();
      fs = fs.reopen();
      const found = await readCheckpoint(fs, DIR);
      assert.ok(found !== "damaged");
      const offset = found?.nextOffset ?? -1;
      assert.ok(offset === written || offset === begun, `${offset}, wanted ${written} or ${begun}`);
      written = offset;
    }
  });
}

async function syncFolders(fs: FileSystem): Promise<void> {
  for (const dir of [DIR, "topics", ""]) await fs.syncDir(dir);
}

/** Adds the CRC that fits. */
function sealed(body: Uint8Array): Uint8Array {
  const bytes = concat([body, new Uint8Array(4)]);
  viewOf(bytes).setUint32(body.length, crc32(body), true);
  return bytes;
}
