import assert from "node:assert/strict";
import { test } from "node:test";
import { ProglogError } from "../../src/base/errors.ts";
import { FakeCall } from "../support/fake-call.ts";
import { readAll, texts } from "./harness.ts";
import { Several } from "./several.ts";

async function three(seed = 1): Promise<Several> {
  const cluster = await Several.three(seed);
  await cluster.create("events");
  return cluster;
}

/** What a promise was rejected with. */
async function failureOf(work: Promise<unknown>): Promise<ProglogError> {
  try {
    await work;
  } catch (error) {
    assert(error instanceof ProglogError, `${error}`);
    return error;
  }
  throw new Error("It was done");
}

test("Without a quorum a write is not acknowledged, and its outcome is told", async () => {
  const cluster = await three();
  const leader = await cluster.leads("events");
  for (const { name } of cluster.running()) if (name !== leader.name) cluster.kill(name);
  const topic = leader.node.topics.topic("events");
  const call = new FakeCall();
  const first = failureOf(topic.produce({ records: texts("lost?") }, { caller: call }));
  await cluster.clock.advance(1_000);
  call.abort(new ProglogError("DEADLINE_EXCEEDED", "It took too long"));
  const late = await cluster.run(first);
  assert.equal(late.reason, "NO_QUORUM");
  assert.equal(late.metadata["outcome"], "unknown");
  // It finds out that nobody follows it any more.
  await cluster.clock.advance(5_000);
  const next = await cluster.run(failureOf(topic.produce({ records: texts("not done") })));
  assert.equal(next.reason, "NOT_LEADER");
  assert.equal(next.metadata["outcome"], "none");
  await assert.rejects(cluster.run(topic.confirm({})), { reason: "NO_QUORUM" });
  assert.equal(leader.node.cluster.routeTopic("events", "leader").kind, "unknown");
  // What is committed is there to be read all the same.
  assert.equal(leader.node.cluster.routeTopic("events", "replica").kind, "here");
});

test("A write whose leader was cut off is refused or kept, as the others decide", async () => {
  const cluster = await three();
  const leader = await cluster.leads("events");
  const others = ["a", "b", "c"].filter((name) => name !== leader.name);
  cluster.network.partition([[leader.name], others]);
  const topic = leader.node.topics.topic("events");
  const lost = failureOf(topic.produce({ records: texts("of the old leader") }));
  await cluster.until(() => {
    const now = others.map((name) => cluster.node(name).cluster.routeTopic("events", "leader"));
    return now.some(({ kind }) => kind === "here");
  });
  const next = others.find((name) => {
    return cluster.node(name).cluster.routeTopic("events", "leader").kind === "here";
  });
  const written = cluster.node(next ?? "").topics.topic("events");
  await cluster.run(written.produce({ records: texts("of the new leader") }));
  cluster.network.heal();
  const refused = await cluster.run(lost);
  // Unless the others have let their entries go: then it sees only what has come of them all.
  const hasSeenAll = leader.lines.every((line) => !line.includes(`takes a snapshot {"topicId":2`));
  assert.equal(refused.metadata["outcome"], hasSeenAll ? "none" : "unknown");
  await cluster.until(() => topic.status().nextOffset === 1);
  assert.deepEqual(await cluster.run(readAll(leader.node, "events")), ["of the new leader"]);
});

for (let seed = 1; seed <= 10; seed += 1) {
  test(`No acknowledged record is lost when leaders lose power one after the other (seed ${seed})`, async () => {
    const cluster = await three(seed);
    const acknowledged: string[] = [];
    for (let round = 0; round < 6; round += 1) {
      for (let number = 0; number < 10; number += 1) {
        const text = `${round} ${number}`;
        await cluster.append("events", text);
        acknowledged.push(text);
      }
      const { name } = await cluster.leads("events");
      cluster.cutPower(name);
      await cluster.append("events", `${round} after`);
      acknowledged.push(`${round} after`);
      await cluster.start(name);
    }
    for (const { node } of cluster.running()) {
      const { topics } = node;
      await cluster.until(() => {
        return topics.topic("events").status().nextOffset >= acknowledged.length;
      });
      assert.deepEqual(await cluster.run(readAll(node, "events")), acknowledged);
    }
  });
}

test("A linearizable read on a follower sees what was acknowledged before it", async () => {
  const cluster = await three();
  for (let number = 0; number < 20; number += 1) {
    await cluster.append("events", `${number}`);
    for (const { node } of cluster.running()) {
      const topic = node.topics.topic("events");
      await cluster.run(topic.confirm({}));
      assert(topic.status().nextOffset > number);
    }
  }
});

test("A server whose disk hangs leads nothing any more, also what nobody writes to", async () => {
  const cluster = await three();
  for (const topic of ["idle-1", "idle-2", "idle-3"]) await cluster.create(topic);
  const { name, id } = await cluster.leads("events");
  for (const topic of ["idle-1", "idle-2", "idle-3", "_cluster"]) {
    const { node } = await cluster.leads(topic);
    if (cluster.leader(topic)?.name === name) continue;
    await cluster.run(node.cluster.transferLeadership(topic, id, {}));
  }
  // All rest, and nothing of them is on its way to the disk.
  await cluster.clock.advance(8_000);
  const letGo = cluster.server(name).fs.hold({ op: "write", path: /^journal\// });
  const topic = cluster.node(name).topics.topic("events");
  topic.produce({ records: texts("kept or lost") }).catch(() => {});
  const others = cluster.running().filter((server) => server.name !== name);
  const leads = (topicName: string) =>
    others.some(({ node }) => node.cluster.routeTopic(topicName, "leader").kind === "here");
  const all = ["events", "idle-1", "idle-2", "idle-3", "_cluster"];
  await cluster.until(() => all.every(leads), 15_000);
  for (let seconds = 0; seconds < 30; seconds += 1) {
    await cluster.clock.advance(1_000);
    assert.deepEqual(
      all.filter((topicName) => !leads(topicName)),
      [],
      `after ${seconds} s`,
    );
  }
  letGo();
});

test("A server whose disk is full is not given leaderships again and again", async () => {
  const cluster = await three();
  for (const topic of ["t1", "t2", "t3", "t4", "t5"]) await cluster.create(topic);
  // Each is led by who is meant to.
  await cluster.clock.advance(40_000);
  const { name, fs } = await cluster.leads("events");
  fs.setCapacity(fs.usedBytes + 20_000);
  let acknowledged = 0;
  let gapMs = 0;
  const gaps: number[] = [];
  const endMs = cluster.clock.monotonicMs() + 120_000;
  while (cluster.clock.monotonicMs() < endMs) {
    const server = cluster.leader("events");
    const text = "x".repeat(500);
    const produced = server?.node.topics.topic("events").produce({ records: texts(text) });
    const isDone = await cluster.run(
      (produced ?? Promise.reject(new Error("nobody leads"))).then(
        () => true,
        () => false,
      ),
    );
    if (isDone) acknowledged += 1;
    if (isDone && gapMs > 500) gaps.push(gapMs);
    gapMs = isDone ? 0 : gapMs + 50;
    await cluster.clock.advance(50);
  }
  assert(acknowledged > 1_500, `only ${acknowledged} were acknowledged`);
  assert(Math.max(0, ...gaps) < 3_000, `gaps of ${gaps.join(", ")} ms`);
  assert(gaps.length <= 6, `gaps of ${gaps.join(", ")} ms`);
  assert.notEqual(cluster.leader("events")?.name, name);
});
