import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { ProglogError } from "../../src/base/errors.ts";
import { Log } from "../../src/gen/log/v1/log_pb.ts";
import { ReadConsistency } from "../../src/gen/proglog/v1/record_pb.ts";
import {
  bodies,
  collect,
  failsWith,
  GRPC,
  infoOf,
  serverDeadline,
  text,
  until,
  WAYS,
} from "./api.ts";
import { startPair, startServer } from "./servers.ts";

const BIDI_WAYS = WAYS.filter(({ name }) => !name.startsWith("gRPC-Web") && !name.endsWith("1.1"));
const HERE = { kind: "here", term: 1 } as const;
const MISSING = { kind: "missing" } as const;

test("any server takes any call, in every protocol, and the leader serves it", async (t) => {
  for (const way of WAYS) {
    const { leader, other } = await startPair(t);
    const { log, topics, transport } = other.clients(way);
    const seed = createClient(Log, transport);
    const first = await log.produce({ topic: "default", records: [{ value: text("a") }] });
    assert.equal(first.firstOffset, 0n, way.name);
    assert.deepEqual(
      [first.leaderHint?.serverId, first.leaderHint?.address, first.leaderHint?.term],
      ["leader", leader.address, 1n],
    );
    assert.equal((await seed.produce({ record: text("b") })).offset, 1n);
    assert.deepEqual((await seed.consume({ offset: 1n })).record, text("b"));
    const read = await log.consume({ topic: "default", wait: { seconds: 1n, nanos: 0 } });
    assert.deepEqual(
      read.records.map(({ offset, record }) => [offset, record?.value]),
      [
        [0n, text("a")],
        [1n, text("b")],
      ],
    );
    assert.equal(read.highWatermark, 2n);
    const streamed = await collect(log.consumeStream({ topic: "default", endOffset: 2n }));
    assert.equal(streamed.flatMap(({ records }) => records).length, 2);
    assert.ok(streamed[0]?.heartbeatInterval);
    assert.equal((await log.openProducer({ topic: "default", producerId: "p" })).epoch, 1n);
    await topics.createTopic({ topic: "made" });
    assert.equal(leader.topics.topic("made").info.name, "made");
    await topics.deleteTopic({ topic: "made" });
    assert.throws(() => leader.topics.topic("made"));
    const settings = { maxSegmentBytes: 4096 };
    const { topic } = await topics.updateTopic({ topic: "default", settings });
    assert.equal(topic?.settings?.maxSegmentBytes, 4096);
    const { status } = await topics.getTopic({ topic: "default" });
    assert.equal(status?.nextOffset, 2n);
    const found = await topics.findOffset({
      topic: "default",
      start: { case: "lastRecords", value: 1n },
    });
    assert.equal(found.offset, 1n);
    assert.equal((await topics.trimTopic({ topic: "default", beforeOffset: 1n })).firstOffset, 1n);
    assert.equal(other.topics.topic("default").nextOffset, 0, "nothing is here");
  }
});

test("batches of a stream reach the leader in order, and answers come back while it is open", async (t) => {
  for (const way of BIDI_WAYS) {
    const { leader, other } = await startPair(t);
    const offsets: bigint[] = [];
    async function* batches() {
      yield { batches: [] };
      for (let number = 0; number < 20; number += 1) {
        const records = [{ value: text(`${number}`) }];
        yield { batches: [{ topic: number === 0 ? "default" : "", records }] };
        await until(() => offsets.length > number);
      }
    }
    for await (const { acknowledgements } of other.clients(way).log.produceStream(batches())) {
      for (const { firstOffset } of acknowledgements) offsets.push(firstOffset);
    }
    assert.deepEqual(
      offsets,
      Array.from({ length: 20 }, (_, at) => BigInt(at)),
      way.name,
    );
    assert.equal(leader.topics.topic("default").nextOffset, 20);
  }
});

test("a stream of batches ends with the error of the first that is refused, after the answers before it", async (t) => {
  for (const way of BIDI_WAYS) {
    const { leader, other } = await startPair(t);
    let answers = 0;
    async function* batches() {
      yield { batches: [{ topic: "default", records: [{ value: text("x") }] }] };
      await until(() => answers === 1);
      leader.topics.topic("default").refuseNext = new ProglogError("NOT_LEADER", "Lost it");
      yield { batches: [{ records: [{ value: text("y") }] }] };
      await new Promise(() => {}); // the client's side stays open
    }
    const reading = async () => {
      for await (const { acknowledgements } of other.clients(way).log.produceStream(batches())) {
        answers += acknowledgements.length;
      }
    };
    const metadata = await failsWith(reading(), "NOT_LEADER");
    assert.equal(metadata["batchNumber"], "1", way.name);
    assert.equal(answers, 1);
  }
});

test("a stream of batches finds the leader before anything of it is answered", async (t) => {
  const { leader, other } = await startPair(t);
  const next = await startServer(t, "next");
  leader.cluster.lead("default", next.route(2));
  async function* batches() {
    yield { batches: [{ topic: "default", records: [{ value: text("x") }] }] };
    yield { batches: [{ records: [{ value: text("y") }] }] };
  }
  const answers = await collect(other.clients().log.produceStream(batches()));
  assert.equal(answers.flatMap(({ acknowledgements }) => acknowledgements).length, 2);
  assert.equal(next.topics.topic("default").nextOffset, 2);
});

test("an error of the leader reaches the client as the leader would have told it", async (t) => {
  for (const way of WAYS) {
    const { leader, other } = await startPair(t);
    leader.topics.topic("default").append(...bodies(1));
    const failing = [
      { records: [{ value: text("x") }], expectedNextOffset: 7n },
      { records: [] },
      { records: [{ value: text("x") }], topicId: 9n },
      {
        records: [{ value: text("x") }],
        producer: { id: "never opened", epoch: 1n, sequence: 0n },
      },
    ];
    for (const request of failing) {
      const told: ConnectError[] = [];
      for (const server of [leader, other]) {
        await assert.rejects(
          server.clients(way).log.produce({ topic: "default", ...request }),
          (thrown) => told.push(ConnectError.from(thrown)) > 0,
        );
      }
      const [direct, forwarded] = told;
      assert.ok(direct && forwarded);
      assert.equal(forwarded.code, direct.code, way.name);
      assert.equal(forwarded.rawMessage, direct.rawMessage);
      assert.deepEqual(infoOf(forwarded), infoOf(direct));
      const details = ({ details: found }: ConnectError) =>
        found.map((detail) => ("type" in detail ? [detail.type, detail.value] : detail));
      assert.deepEqual(details(forwarded), details(direct));
    }
  }
});

test("the leader learns of the deadline and of a client that gives up", async (t) => {
  const { leader, other } = await startPair(t);
  const topic = leader.topics.topic("default");
  topic.hold = new Promise(() => {});
  const { log } = other.clients();
  const metadata = await failsWith(
    log.produce({ topic: "default", records: [{ value: text("x") }] }, serverDeadline(500)),
    "DEADLINE_EXCEEDED",
  );
  assert.equal(metadata["outcome"], "unknown");
  const gone = new AbortController();
  const tail = collect(log.consumeStream({ topic: "default" }, { signal: gone.signal }));
  await until(() => topic.openWaits === 1);
  gone.abort();
  await assert.rejects(tail);
  await until(() => topic.openWaits === 0);
});

test("a client that does not read stops the leader from reading", async (t) => {
  const { leader, other } = await startPair(t);
  const topic = leader.topics.topic("default");
  topic.tailFrom = 1_000_000;
  topic.append(...bodies(300, 128 * 1024));
  const gone = new AbortController();
  const stream = other.clients().log.consumeStream({ topic: "default" }, { signal: gone.signal });
  const items = stream[Symbol.asyncIterator]();
  await items.next();
  let before = -1;
  while (topic.readCount !== before) {
    before = topic.readCount;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  assert.ok(topic.readCount < 50, `${topic.readCount} of 150 reads or more`);
  let records = 0;
  for (let item = await items.next(); item.done !== true; item = await items.next()) {
    records += item.value.records.length;
    if (item.value.resumeOffset === 300n) break;
  }
  assert.ok(records >= 290);
  gone.abort();
});

test("what is committed is read from the replica here, with how far it is", async (t) => {
  const { leader, other } = await startPair(t);
  leader.topics.topic("default").append(...bodies(3));
  const mine = other.topics.topic("default");
  mine.append(...bodies(2));
  other.cluster.keepReplica("default");
  for (const way of WAYS) {
    const { log, topics } = other.clients(way);
    const read = await log.consume({ topic: "default" });
    assert.deepEqual([read.records.length, read.highWatermark], [2, 2n], way.name);
    const start = { case: "offset", value: 2n } as const;
    assert.equal((await log.consume({ topic: "default", start })).records.length, 0);
    const consistency = ReadConsistency.LINEARIZABLE;
    assert.equal((await log.consume({ topic: "default", consistency })).records.length, 3);
    const last = { case: "lastRecords", value: 1n } as const;
    assert.equal((await log.consume({ topic: "default", start: last })).records[0]?.offset, 2n);
    const { status } = await topics.getTopic({
      topic: "default",
      consistency: ReadConsistency.COMMITTED,
    });
    assert.deepEqual([status?.nextOffset, status?.leader?.serverId], [2n, "leader"]);
  }
});

test("only a leader that is sure of it says that an offset is out of range", async (t) => {
  const { leader, other } = await startPair(t);
  const topic = leader.topics.topic("default");
  topic.append(...bodies(3));
  other.cluster.keepReplica("default");
  for (const way of WAYS) {
    const { log, transport } = other.clients(way);
    const at = (value: bigint) => ({ topic: "default", start: { case: "offset", value } as const });
    assert.equal((await log.consume(at(2n))).records.length, 1, "a follower may be behind");
    const tail = await collect(log.consumeStream({ ...at(1n), endOffset: 3n }));
    assert.equal(tail.flatMap(({ records }) => records).length, 2);
    assert.equal((await createClient(Log, transport).consume({ offset: 2n })).offset, 2n);
    const before = topic.confirmCount;
    const metadata = await failsWith(log.consume(at(9n)), "OFFSET_OUT_OF_RANGE");
    assert.equal(metadata["nextOffset"], "3", way.name);
    assert.ok(topic.confirmCount > before);
    await failsWith(collect(log.consumeStream(at(9n))), "OFFSET_OUT_OF_RANGE");
    await failsWith(createClient(Log, transport).consume({ offset: 9n }), "OFFSET_NOT_FOUND");
  }
});

test("a leader that learns while it confirms what was acknowledged finds the offset", async (t) => {
  const leader = await startServer(t, "leader");
  const topic = leader.topics.topic("default");
  let confirms = 0;
  topic.onConfirm = () => {
    confirms += 1;
    if (confirms === 1) topic.append(...bodies(3));
  };
  const start = { case: "offset", value: 2n } as const;
  const { records } = await leader.clients().log.consume({ topic: "default", start });
  assert.equal(records.length, 1);
});

test("a topic that the catalogue here does not know yet is looked for before it is not found", async (t) => {
  const { leader, other } = await startPair(t);
  await leader.topics.create("young", {});
  other.cluster.lead("young", MISSING);
  other.cluster.onConfirm = () => other.cluster.lead("young", leader.route());
  const { log } = other.clients();
  await log.produce({ topic: "young", records: [{ value: text("x") }] });
  assert.equal(leader.topics.topic("young").nextOffset, 1);
  assert.equal(other.cluster.confirmCount, 1);
  other.cluster.onConfirm = undefined;
  for (const way of WAYS) {
    const clients = other.clients(way);
    other.cluster.lead("none", MISSING);
    const { confirmCount } = other.cluster;
    await failsWith(clients.log.consume({ topic: "none" }), "TOPIC_NOT_FOUND");
    await failsWith(collect(clients.log.consumeStream({ topic: "none" })), "TOPIC_NOT_FOUND");
    assert.equal(other.cluster.confirmCount, confirmCount + 2, way.name);
    other.cluster.lead("No Name", MISSING);
    await failsWith(clients.topics.getTopic({ topic: "No Name" }), "TOPIC_NAME_INVALID");
    assert.equal(other.cluster.confirmCount, confirmCount + 2, way.name);
  }
});

test("on the only server nothing is asked of the cluster but where a topic is", async (t) => {
  const { leader } = await startPair(t);
  leader.cluster.lead("default", HERE);
  const { log } = leader.clients(GRPC);
  await log.produce({ topic: "default", records: [{ value: text("x") }] });
  await log.consume({ topic: "default" });
  assert.deepEqual([leader.cluster.waiterCount, leader.cluster.confirmCount], [0, 0]);
  assert.equal(leader.topics.topic("default").confirmCount, 0);
});

test("before the cluster is known, calls wait as they do for the topics", async (t) => {
  const server = await startServer(t, "late", {
    cluster: new Promise(() => {}),
    limits: { startWaitMs: 50 },
  });
  const { log } = server.clients();
  const error = await log.consume({ topic: "default" }).catch(ConnectError.from);
  assert.ok(error instanceof ConnectError);
  assert.equal(error.code, Code.Unavailable);
  assert.equal(infoOf(error).reason, "STARTING");
});
