import assert from "node:assert/strict";
import { test } from "node:test";
import { hasReason, type ProglogError } from "../../src/base/errors.ts";
import { type Life, readAll, startNode, texts } from "./harness.ts";
import { liveThrough, tryToStart } from "./lives.ts";

/** Appends batches of 10 to a topic until the disk is full. @returns what was acknowledged */
async function fill(life: Life, name: string): Promise<string[]> {
  const acknowledged: string[] = [];
  await liveThrough(life, async () => {
    for (let number = 0; number < 5_000; number += 1) {
      const batch = Array.from({ length: 10 }, (_, at) => `${number}.${at} ${"x".repeat(200)}`);
      try {
        await life.node.topics.topic(name).produce({ records: texts(...batch) });
        acknowledged.push(...batch);
      } catch (error) {
        assert.ok(hasReason(error, "DISK_FULL"), `${error}`);
        assert.notEqual((error as ProglogError).metadata["outcome"], "unknown");
        return;
      }
      // So that the files come along: what is refused is decided by them too.
      await new Promise<void>((resolve) => life.clock.schedule(1, resolve));
    }
    assert.fail("the disk was never full");
  });
  return acknowledged;
}

async function startNearlyFull(roomBytes: number): Promise<Life> {
  const life = await startNode();
  await life.node.topics.create("other", {});
  life.fs.setCapacity(life.fs.usedBytes + roomBytes);
  return life;
}

/** A node that was killed when the disk was full, started again: its journal has more than its files. */
async function startOnFull() {
  const first = await startNearlyFull(200_000);
  const acknowledged = await fill(first, "default");
  first.fs.crash(0);
  const fs = first.fs.reopen();
  fs.setCapacity(fs.usedBytes);
  const settings = { topicInFlightBytesMax: 3_000 };
  const { life, error } = await tryToStart(fs, { seed: 2, settings });
  if (life === undefined) throw error;
  return { life, fs, acknowledged };
}

/** Tries until it works, for a minute of simulated time. */
async function eventually<T>(life: Life, work: () => Promise<T>): Promise<T> {
  let result: { value: T } | undefined;
  let last: unknown;
  await liveThrough(life, async () => {
    for (let tries = 0; tries < 120 && result === undefined; tries += 1) {
      await work().then(
        (value) => {
          result = { value };
        },
        (error) => {
          last = error;
        },
      );
      if (result === undefined) {
        await new Promise<void>((resolve) => life.clock.schedule(500, resolve));
      }
    }
  });
  assert.ok(result !== undefined, `it never worked: ${last}`);
  return result.value;
}

test("on a full disk appends are refused, reads go on, and it goes on by itself with room", async () => {
  const life = await startNearlyFull(300_000);
  const acknowledged = await fill(life, "default");
  assert.ok(acknowledged.length > 10);
  assert.ok(life.node.isDiskFull);
  assert.deepEqual(await readAll(life.node, "default"), acknowledged);
  await assert.rejects(
    life.node.topics.topic("default").produce({ records: texts("no") }),
    (error) => hasReason(error, "DISK_FULL"),
  );
  life.fs.setCapacity(Number.POSITIVE_INFINITY);
  await eventually(life, () => life.node.topics.topic("default").produce({ records: texts("z") }));
  assert.deepEqual(await readAll(life.node, "default"), [...acknowledged, "z"]);
  assert.ok(!life.node.isDiskFull);
  await liveThrough(life, () => life.node.close());
  assert.deepEqual(life.failures, []);
});

test("trimming a topic gets a node out of a full disk", async () => {
  const life = await startNearlyFull(600_000);
  const acknowledged = await fill(life, "default");
  const topic = life.node.topics.topic("default");
  const before = life.fs.usedBytes;
  const keep = acknowledged.length - 5;
  await eventually(life, () => topic.trim(keep));
  await eventually(life, () => topic.produce({ records: texts("z") }));
  assert.ok(life.fs.usedBytes < before);
  const wanted = [...acknowledged.slice(keep), "z"];
  assert.deepEqual(await readAll(life.node, "default"), wanted);
  assert.deepEqual(life.failures, []);
  // Also after the power went: the checkpoint that let the files go fits what is left.
  life.fs.crash();
  const next = await startNode({ fs: life.fs.reopen(), seed: 2 });
  assert.deepEqual(await readAll(next.node, "default"), wanted);
});

test("a power cut right after trimming on a full disk loses nothing that was kept", async () => {
  const life = await startNearlyFull(600_000);
  const acknowledged = await fill(life, "default");
  const keep = acknowledged.length - 3;
  await eventually(life, () => life.node.topics.topic("default").trim(keep));
  life.fs.crash(0);
  const { life: next, error } = await tryToStart(life.fs.reopen(), { seed: 2 });
  if (next === undefined) throw error;
  const read = () => readAll(next.node, "default").then((found) => assert.equal(found.length, 3));
  await eventually(next, read);
  assert.deepEqual(await readAll(next.node, "default"), acknowledged.slice(keep));
});

test("deleting a topic gets a node out of a full disk", async () => {
  const life = await startNearlyFull(600_000);
  const acknowledged = await fill(life, "other");
  assert.ok(acknowledged.length > 10);
  await eventually(life, () => life.node.topics.delete("other"));
  await eventually(life, () => life.node.topics.topic("default").produce({ records: texts("z") }));
  assert.deepEqual(life.failures, []);
  assert.deepEqual(
    [...life.fs.dump().keys()].filter((path) => path.startsWith("topics/2")),
    [],
  );
  await liveThrough(life, () => life.node.close());
});

test("a node starts on a full disk, reads what is in its files, and goes on when there is room", async () => {
  const { life, fs, acknowledged } = await startOnFull();
  assert.ok(life.node.isRecovering && life.node.isDiskFull);
  const topic = life.node.topics.topic("default");
  const here = await readAll(life.node, "default");
  assert.ok(here.length < acknowledged.length, "all had room");
  assert.deepEqual(here, acknowledged.slice(0, here.length));
  // An offset that was acknowledged before is not out of range: a reader must not be sent back.
  const isFull = (thrown: unknown) => hasReason(thrown, "DISK_FULL");
  const last = acknowledged.length;
  await assert.rejects(topic.readRun(last, { recordsMax: 1, bytesMax: 1 }), isFull);
  await assert.rejects(topic.resolve({ at: "offset", offset: last }), isFull);
  await assert.rejects(topic.produce({ records: texts("no") }), isFull);
  fs.setCapacity(Number.POSITIVE_INFINITY);
  await eventually(life, () => topic.produce({ records: texts("z") }));
  assert.ok(!life.node.isRecovering);
  assert.deepEqual(await readAll(life.node, "default"), [...acknowledged, "z"]);
  await liveThrough(life, () => life.node.close());
  assert.deepEqual(life.failures, []);
});

test("a node that is still applying its journal on a full disk can be stopped", async () => {
  const { life, fs, acknowledged } = await startOnFull();
  await liveThrough(life, () => life.node.close());
  assert.deepEqual(life.failures, []);
  const again = fs.reopen();
  again.setCapacity(Number.POSITIVE_INFINITY);
  const { life: last, error: lastError } = await tryToStart(again, { seed: 3 });
  if (last === undefined) throw lastError;
  assert.deepEqual(await readAll(last.node, "default"), acknowledged);
  await last.node.close();
});

test("a node stops on a full disk, and the next start has everything", async () => {
  const life = await startNearlyFull(80_000);
  const acknowledged = await fill(life, "default");
  await liveThrough(life, () => life.node.close());
  assert.deepEqual(life.failures, []);
  const fs = life.fs.reopen();
  fs.setCapacity(Number.POSITIVE_INFINITY);
  const { life: next, error } = await tryToStart(fs, { seed: 2 });
  if (next === undefined) throw error;
  assert.deepEqual(await readAll(next.node, "default"), acknowledged);
  await next.node.close();
});
