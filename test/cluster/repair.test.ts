import assert from "node:assert/strict";
import { test } from "node:test";
import { integerFrom, makeRandom, seedsFromEnv } from "../support/prng.ts";
import { readAll } from "./harness.ts";
import { Several } from "./several.ts";

/** Nothing is answered from memory. */
const NO_TAIL = { tailBytesMax: 0, topicTailBytesMax: 0 };

const WRITTEN = Array.from({ length: 40 }, (_, at) => `record ${at}`);

/** Three servers with a topic of several segments. */
async function three(seed = 1): Promise<Several> {
  const cluster = await Several.three(seed, { settings: NO_TAIL });
  await cluster.create("events");
  for (const text of WRITTEN) await cluster.append("events", text);
  for (const { node } of cluster.running()) {
    await cluster.until(() => node.topics.topic("events").status().nextOffset === WRITTEN.length);
  }
  return cluster;
}

function follower(cluster: Several): string {
  const leader = cluster.leader("events")?.name;
  const found = cluster.running().find(({ name }) => name !== leader);
  assert(found !== undefined);
  return found.name;
}

function stores(cluster: Several, name: string): string[] {
  return cluster.files(name, "events").filter((path) => path.endsWith(".log"));
}

for (const [what, at, bytes] of [
  ["a byte of a record", 100, 1],
  ["the length of a record", 0, 8],
  ["many records", 60, 400],
] as const) {
  test(`A read that meets damage in ${what} is answered from another replica`, async () => {
    const cluster = await three();
    const name = follower(cluster);
    const [path] = stores(cluster, name);
    assert(path !== undefined);
    const before = cluster.server(name).fs.dump().get(path);
    await cluster.damage(name, path, at, bytes);
    assert.deepEqual(await cluster.run(readAll(cluster.node(name), "events")), WRITTEN);
    assert.deepEqual(cluster.server(name).fs.dump().get(path), before, "the file is whole again");
  });
}

test("A leader that meets damage hands its leadership on", async () => {
  const cluster = await three();
  const leader = await cluster.leads("events");
  const [path] = stores(cluster, leader.name);
  await cluster.damage(leader.name, path ?? "", 100);
  assert.deepEqual(await cluster.run(readAll(leader.node, "events")), WRITTEN);
  assert.notEqual((await cluster.leads("events")).name, leader.name);
});

test("What is damaged everywhere is DATA_LOSS, and never wrong bytes", async () => {
  const cluster = await three();
  for (const { name } of cluster.running()) {
    const [path] = stores(cluster, name);
    await cluster.damage(name, path ?? "", 100);
  }
  for (const { node } of cluster.running()) {
    const reading = cluster.run(readAll(node, "events"));
    await assert.rejects(reading, { reason: "STORE_CORRUPT" });
  }
});

test("Different damage on each of three replicas is made good from the others", async () => {
  const cluster = await three();
  for (const [number, { name }] of cluster.running().entries()) {
    const [path] = stores(cluster, name);
    await cluster.damage(name, path ?? "", 20 + number * 200, 10);
  }
  for (const { node } of cluster.running()) {
    assert.deepEqual(await cluster.run(readAll(node, "events")), WRITTEN);
  }
});

test("What no replica has whole is put together from two", async () => {
  const cluster = await three();
  const name = follower(cluster);
  const [path = ""] = stores(cluster, name);
  const others = cluster.running().filter((server) => server.name !== name);
  const bytes = cluster.server(name).fs.dump().get(path)?.length ?? 0;
  await cluster.damage(name, path, 0, bytes);
  // They cannot help each other: only this one reaches both.
  const [left, right] = others.map((server) => server.name);
  cluster.network.partition([[left ?? ""], [right ?? ""]]);
  await cluster.damage(left ?? "", path, 100);
  await cluster.damage(right ?? "", path, 400);
  const records = await cluster.run(readAll(cluster.node(name), "events"));
  assert.deepEqual(records, WRITTEN);
});

test("Damage is DATA_LOSS while the others are away, and made good when they are back", async () => {
  const cluster = await three();
  const name = follower(cluster);
  const [path] = stores(cluster, name);
  await cluster.damage(name, path ?? "", 100);
  const others = cluster.running().filter((server) => server.name !== name);
  for (const other of others) cluster.kill(other.name);
  const reading = cluster.run(readAll(cluster.node(name), "events"));
  await assert.rejects(reading, { reason: "STORE_CORRUPT" });
  for (const other of others) await cluster.start(other.name, { settings: NO_TAIL });
  await cluster.clock.advance(15_000);
  assert.deepEqual(await cluster.run(readAll(cluster.node(name), "events")), WRITTEN);
});

test("Damage that nobody reads is found and made good in the background", async () => {
  const cluster = await three();
  const name = follower(cluster);
  const [path] = stores(cluster, name);
  const before = cluster
    .server(name)
    .fs.dump()
    .get(path ?? "");
  await cluster.damage(name, path ?? "", 100);
  await cluster.clock.advance(11 * 60_000);
  assert.deepEqual(
    cluster
      .server(name)
      .fs.dump()
      .get(path ?? ""),
    before,
  );
  const { found, repaired, scrubbedBytes } = cluster.node(name).damage;
  assert.deepEqual({ found, repaired }, { found: 1, repaired: 1 });
  assert(scrubbedBytes > 0);
});

test("Damage in the segment that is written to is made good, too", async () => {
  const cluster = await three();
  const name = follower(cluster);
  const path = stores(cluster, name).at(-1) ?? "";
  const bytes = cluster.server(name).fs.dump().get(path)?.length ?? 0;
  await cluster.damage(name, path, bytes - 10, 5);
  const reading = readAll(cluster.node(name), "events");
  await cluster.append("events", "more");
  assert.deepEqual((await cluster.run(reading)).slice(0, WRITTEN.length), WRITTEN);
  await cluster.append("events", "and more");
  const { topics } = cluster.node(name);
  await cluster.until(() => topics.topic("events").status().nextOffset === WRITTEN.length + 2);
  const all = [...WRITTEN, "more", "and more"];
  assert.deepEqual(await cluster.run(readAll(cluster.node(name), "events")), all);
});

// Goal: whatever is damaged, as long as each record is whole somewhere, every replica comes to be what it was, and
// no read gives anything else. Method: each store is damaged at random on up to two of three servers.
for (const seed of seedsFromEnv(8)) {
  test(`Random damage is made good wherever one replica is whole (seed ${seed})`, async () => {
    const cluster = await three(seed);
    const random = makeRandom(seed);
    const names = cluster.running().map(({ name }) => name);
    const before = names.map((name) => storesOf(cluster, name));
    for (const path of stores(cluster, "a")) {
      const whole = names[integerFrom(random, 0, 2)];
      for (const name of names) {
        if (name === whole) continue;
        for (let places = integerFrom(random, 0, 3); places > 0; places -= 1) {
          const size = cluster.server(name).fs.dump().get(path)?.length ?? 0;
          const bytes = integerFrom(random, 1, Math.min(size, random() < 0.2 ? size : 60));
          await cluster.damage(name, path, integerFrom(random, 0, size - bytes), bytes);
        }
      }
    }
    for (const name of names) {
      assert.deepEqual(await cluster.run(readAll(cluster.node(name), "events")), WRITTEN);
    }
    assert.deepEqual(
      names.map((name) => storesOf(cluster, name)),
      before,
    );
  });
}

test("A replica that cannot be opened is replaced by a new one, when the others have all of it", async () => {
  const cluster = await three();
  const name = follower(cluster);
  const path = cluster.files(name, "events").find((file) => file.endsWith("/checkpoint"));
  await cluster.stop(name);
  await cluster.damage(name, path ?? "", 20);
  const node = await cluster.start(name, { settings: NO_TAIL });
  assert.throws(() => node.topics.topic("events"), { reason: "STORE_CORRUPT" });
  await cluster.until(() => isWhole(cluster, name));
  await cluster.append("events", "after");
  await cluster.until(() => node.topics.topic("events").status().nextOffset > WRITTEN.length);
  assert.deepEqual(await cluster.run(readAll(node, "events")), [...WRITTEN, "after"]);
  await cluster.until(() => cluster.isReplicated("events"));
});

test("A replica that cannot be opened stays as it is while too few others are there", async () => {
  const cluster = await three();
  const name = follower(cluster);
  const path = cluster.files(name, "events").find((file) => file.endsWith("/checkpoint"));
  const [absent] = cluster.running().filter((server) => {
    return server.name !== name && server.name !== cluster.leader("_cluster")?.name;
  });
  cluster.kill(absent?.name ?? "");
  await cluster.stop(name);
  await cluster.damage(name, path ?? "", 20);
  const before = storesOf(cluster, name);
  const node = await cluster.start(name, { settings: NO_TAIL });
  await cluster.clock.advance(20_000);
  assert.throws(() => node.topics.topic("events"), { reason: "STORE_CORRUPT" });
  assert.deepEqual(storesOf(cluster, name), before);
  await cluster.start(absent?.name ?? "", { settings: NO_TAIL });
  await cluster.until(() => isWhole(cluster, name));
  assert.deepEqual(await cluster.run(readAll(node, "events")), WRITTEN);
});

/** The replica there is open and has everything. */
function isWhole(cluster: Several, name: string): boolean {
  try {
    const { nextOffset } = cluster.node(name).topics.topic("events").status();
    return nextOffset >= WRITTEN.length;
  } catch {
    return false;
  }
}

function storesOf(cluster: Several, name: string): [string, Uint8Array][] {
  const files = [...cluster.server(name).fs.dump()];
  return files.filter(([path]) => path.startsWith("topics/2/") && path.endsWith(".log"));
}
