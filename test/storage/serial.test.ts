import assert from "node:assert/strict";
import { test } from "node:test";
import { Dirty, Serial } from "../../src/storage/serial.ts";

test("Serial runs one thing after the other, also after a rejection", async () => {
  const serial = new Serial();
  const order: string[] = [];
  const step = (name: string, fails = false) =>
    serial.run(async () => {
      order.push(`${name} begins`);
      await undefined;
      order.push(`${name} ends`);
      if (fails) throw new Error(name);
      return name;
    });
  const results = await Promise.allSettled([step("a"), step("b", true), step("c")]);
  assert.deepEqual(order, ["a begins", "a ends", "b begins", "b ends", "c begins", "c ends"]);
  assert.deepEqual(
    results.map(({ status }) => status),
    ["fulfilled", "rejected", "fulfilled"],
  );
  await serial.idle();
});

test("Dirty syncs only what was marked, and again what was marked meanwhile", async () => {
  const dirty = new Dirty();
  let syncs = 0;
  const sync = async () => {
    syncs += 1;
    // A change that comes while the sync runs is not covered by it.
    if (syncs === 1) dirty.mark();
  };
  await dirty.clean(sync);
  assert.equal(syncs, 0);
  dirty.mark();
  dirty.mark();
  await dirty.clean(sync);
  assert.equal(syncs, 1);
  await dirty.clean(sync);
  assert.equal(syncs, 2);
  await dirty.clean(sync);
  assert.equal(syncs, 2);
});

test("after a failed sync Dirty fails for good, also those that waited for it", async () => {
  const dirty = new Dirty();
  dirty.mark();
  let syncs = 0;
  const sync = async () => {
    syncs += 1;
    throw new Error("EIO");
  };
  const results = await Promise.allSettled([dirty.clean(sync), dirty.clean(sync)]);
  dirty.mark();
  results.push(...(await Promise.allSettled([dirty.clean(sync)])));
  assert.deepEqual(
    results.map(({ status }) => status),
    ["rejected", "rejected", "rejected"],
  );
  assert.equal(syncs, 1);
});
