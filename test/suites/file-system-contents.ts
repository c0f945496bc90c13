import assert from "node:assert/strict";
import { concat } from "../../src/base/bytes.ts";
import { toPosition } from "../../src/base/units.ts";
import type { FileSystem } from "../../src/platform/file-system.ts";
import { bytes, getText, putText, readText, withFile } from "../support/files.ts";
import { integerFrom, makeRandom, seedsFromEnv } from "../support/prng.ts";

export type FileSystemCase = (fs: FileSystem) => Promise<void>;

/** Part of file-system-suite.ts: what is in files. */
export const CONTENTS: Readonly<Record<string, FileSystemCase>> = {
  "open() as create makes an empty file, and does not cut one that is there": async (fs) => {
    await withFile(fs.open("a", { mode: "create" }), async (file) => {
      assert.equal(await file.size(), 0);
      await file.write([bytes("old")], toPosition(0));
    });
    await withFile(fs.open("a", { mode: "create" }), async (file) => {
      assert.equal(await file.size(), 3);
      await file.write([bytes("n")], toPosition(0));
    });
    assert.equal(await getText(fs, "a"), "nld");
  },

  "read() fills the target, and gives less at the end of the file only": async (fs) => {
    await putText(fs, "a", "0123456789");
    for (const mode of ["read", "write"] as const) {
      await withFile(fs.open("a", { mode }), async (file) => {
        assert.equal(await readText(file, 0, 10), "0123456789");
        assert.equal(await readText(file, 2, 3), "234");
        assert.equal(await readText(file, 8, 5), "89");
        assert.equal(await readText(file, 10, 5), "");
        assert.equal(await readText(file, 99, 5), "");
        assert.equal(await readText(file, 3, 0), "");
      });
    }
  },

  "read() writes nothing beside its target": async (fs) => {
    await putText(fs, "a", "0123456789");
    const around = new Uint8Array(8).fill(1);
    await withFile(fs.open("a", { mode: "read" }), async (file) => {
      assert.equal(await file.read(around.subarray(2, 5), toPosition(4)), 3);
      assert.deepEqual([...around], [1, 1, 52, 53, 54, 1, 1, 1]);
      assert.equal(await file.read(around.subarray(6), toPosition(9)), 1);
      assert.deepEqual([...around], [1, 1, 52, 53, 54, 1, 57, 1]);
    });
  },

  "write() puts parts one after the other, also views and empty ones": async (fs) => {
    const whole = bytes("..hello, world..");
    await withFile(fs.open("a", { mode: "create" }), async (file) => {
      const parts = [new Uint8Array(0), whole.subarray(2, 7), new Uint8Array(0)];
      await file.write([...parts, whole.subarray(7, 14)], toPosition(0));
      await file.write([], toPosition(3));
      await file.write([new Uint8Array(0)], toPosition(99));
      assert.equal(await file.size(), 12);
      assert.equal(await readText(file, 0, 20), "hello, world");
    });
  },

  // More than the 1,024 that one call of the system takes.
  "write() keeps the order of thousands of parts": async (fs) => {
    const parts = Array.from({ length: 5000 }, (_, at) => bytes(`${at},`));
    await withFile(fs.open("a", { mode: "create", syncWrites: true }), async (file) => {
      await file.write(parts, toPosition(1));
      const got = new Uint8Array(await file.size());
      await file.read(got, toPosition(0));
      assert.deepEqual(got, concat([new Uint8Array(1), ...parts]));
    });
  },

  "write() beyond the end leaves zeros in the gap": async (fs) => {
    await withFile(fs.open("a", { mode: "create" }), async (file) => {
      await file.write([bytes("a")], toPosition(0));
      await file.write([bytes("b")], toPosition(4000));
      const got = new Uint8Array(4001);
      assert.equal(await file.read(got, toPosition(0)), 4001);
      assert.deepEqual(got, concat([bytes("a"), new Uint8Array(3999), bytes("b")]));
    });
  },

  "truncate() cuts, extends with zeros, and does not bring back what it cut": async (fs) => {
    await withFile(fs.open("a", { mode: "create" }), async (file) => {
      await file.write([bytes("0123456789")], toPosition(0));
      await file.truncate(4);
      assert.equal(await file.size(), 4);
      await file.truncate(8);
      assert.equal(await readText(file, 0, 20), "0123\0\0\0\0");
      await file.write([bytes("x")], toPosition(9));
      assert.equal(await readText(file, 0, 20), "0123\0\0\0\0\0x");
      await file.truncate(0);
      assert.equal(await file.size(), 0);
    });
  },

  "sync() and synced writes leave the content as it was written": async (fs) => {
    await withFile(fs.open("a", { mode: "create", syncWrites: true }), async (file) => {
      await file.write([bytes("one"), bytes("two")], toPosition(0));
      await file.sync();
      await file.write([bytes("2")], toPosition(3));
      assert.equal(await readText(file, 0, 9), "one2wo");
    });
    await withFile(fs.open("a", { mode: "read" }), (file) => file.sync());
    await fs.syncDir("");
    assert.equal(await getText(fs, "a"), "one2wo");
  },

  "two open files of one name see each other's writes at once": async (fs) => {
    await putText(fs, "a", "12");
    await withFile(fs.open("a", { mode: "read" }), async (reader) => {
      assert.equal(await readText(reader, 0, 2), "12");
      await withFile(fs.open("a", { mode: "write" }), async (writer) => {
        await writer.write([bytes("345")], toPosition(1));
        assert.equal(await reader.size(), 4);
        assert.equal(await readText(reader, 0, 4), "1345");
        assert.equal(await readText(reader, 3, 4), "5");
      });
    });
  },

  "random writes, cuts and reads do as an array does": async (fs) => {
    for (const seed of seedsFromEnv(20)) await compareWithArray(fs, seed);
  },
};

async function compareWithArray(fs: FileSystem, seed: number): Promise<void> {
  const random = makeRandom(seed);
  const name = `seed-${seed}`;
  const file = await fs.open(name, { mode: "create", syncWrites: random() < 0.2 });
  let model = new Uint8Array(0);
  for (let step = 0; step < 60; step += 1) {
    const way = random();
    const at = integerFrom(random, 0, model.length + (random() < 0.2 ? 3000 : 0));
    if (way < 0.5) {
      const parts = Array.from({ length: integerFrom(random, 0, 4) }, () =>
        new Uint8Array(integerFrom(random, 0, 700)).fill(integerFrom(random, 1, 255)),
      );
      const joined = concat(parts);
      await file.write(parts, toPosition(at));
      if (joined.length > 0) {
        model = resized(model, Math.max(model.length, at + joined.length));
        model.set(joined, at);
      }
    } else if (way < 0.6) {
      await file.truncate(at);
      model = resized(model, at);
    } else {
      const target = new Uint8Array(integerFrom(random, 0, 2000)).fill(1);
      const count = await file.read(target, toPosition(at));
      assert.deepEqual(target.subarray(0, count), model.slice(at, at + target.length), name);
    }
    assert.equal(await file.size(), model.length, name);
  }
  await file.close();
  await withFile(fs.open(name, { mode: "read" }), async (reader) => {
    const target = new Uint8Array(model.length + 1);
    assert.equal(await reader.read(target, toPosition(0)), model.length, name);
    assert.deepEqual(target.subarray(0, model.length), model, name);
  });
}

function resized(source: Uint8Array, size: number): Uint8Array<ArrayBuffer> {
  const result = new Uint8Array(size);
  result.set(source.subarray(0, size));
  return result;
}
