import assert from "node:assert/strict";
import { test } from "node:test";
import { ProglogError } from "../../src/base/errors.ts";
import { KIB, MIB } from "../../src/base/units.ts";
import { bodies, collect, failsWith, GRPC, serverDeadline, text, until, WAYS } from "./api.ts";
import { makeCertificates } from "./certificates.ts";
import { startPair, startServer } from "./servers.ts";

const STREAM_WAYS = [GRPC, ...WAYS.filter(({ name }) => name === "Connect JSON HTTP/2")];

test("a client that sends faster than the leader takes is stopped", async (t) => {
  const { leader, other } = await startPair(t);
  const topic = leader.topics.topic("default");
  let release = () => {};
  const count = 600;
  let sent = 0;
  async function* batches() {
    const records = [{ value: new Uint8Array(64 * KIB) }];
    for (; sent < count; sent += 1) {
      yield { batches: [{ topic: "default", records }] };
      if (sent > 0) continue;
      await until(() => topic.nextOffset === 1); // the stream is open: from now on nothing is answered
      topic.hold = new Promise((resolve) => {
        release = resolve;
      });
    }
  }
  const answers = collect(other.clients().log.produceStream(batches()));
  await until(() => topic.batches.length > 1);
  let before = -1;
  while (sent !== before) {
    before = sent;
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  assert.ok(sent * 64 * KIB < 30 * MIB, `${sent} of ${count} batches were taken`);
  release();
  const acknowledged = (await answers).flatMap(({ acknowledgements }) => acknowledgements);
  assert.equal(acknowledged.length, count);
});

test("a client that gives up its stream of batches gives it up at the leader", async (t) => {
  for (const way of STREAM_WAYS) {
    let over = 0;
    const { leader, other } = await startPair(t, { hook: () => () => (over += 1) });
    leader.topics.topic("default").hold = new Promise(() => {});
    const gone = new AbortController();
    async function* batches() {
      yield { batches: [{ topic: "default", records: [{ value: text("x") }] }] };
      await new Promise(() => {});
    }
    const { signal } = gone;
    const stream = collect(other.clients(way).log.produceStream(batches(), { signal }));
    await until(() => leader.topics.topic("default").batches.length === 1);
    gone.abort();
    await assert.rejects(stream);
    await until(() => over === 2); // here and there
  }
});

test("a server that stops answers what it forwarded of a stream, then says so", async (t) => {
  for (const way of STREAM_WAYS) {
    const { leader, other } = await startPair(t);
    const topic = leader.topics.topic("default");
    let answers = 0;
    async function* batches() {
      yield { batches: [{ topic: "default", records: [{ value: text("x") }] }] };
      await until(() => answers === 1);
      let release = () => {};
      topic.hold = new Promise((resolve) => {
        release = resolve;
      });
      yield { batches: [{ records: [{ value: text("y") }] }] };
      await until(() => topic.batches.length === 2);
      other.state.drain();
      release();
      await new Promise(() => {});
    }
    const reading = async () => {
      for await (const { acknowledgements } of other.clients(way).log.produceStream(batches())) {
        answers += acknowledgements.length;
      }
    };
    await failsWith(reading(), "DRAINING");
    assert.equal(answers, 2, way.name);
  }
});

test("a server that stops ends the streams that others serve", async (t) => {
  for (const way of STREAM_WAYS) {
    const { leader, other } = await startPair(t);
    leader.topics.topic("default").append(...bodies(1));
    let records = 0;
    const reading = async () => {
      for await (const message of other.clients(way).log.consumeStream({ topic: "default" })) {
        records += message.records.length;
        other.state.drain();
      }
    };
    await failsWith(reading(), "DRAINING");
    assert.equal(records, 1);
    await until(() => leader.topics.topic("default").openWaits === 0);
  }
});

test("an input that cannot be read ends the stream with that error, after the answers", async (t) => {
  const { leader, other } = await startPair(t);
  let answers = 0;
  async function* batches() {
    yield { batches: [{ topic: "default", records: [{ value: text("x") }] }] };
    await until(() => answers === 1);
    yield { batches: [{ topic: "default", records: [{ value: new Uint8Array(9 * MIB) }] }] };
  }
  const reading = async () => {
    for await (const { acknowledgements } of other.clients().log.produceStream(batches())) {
      answers += acknowledgements.length;
    }
  };
  await failsWith(reading(), "REQUEST_TOO_LARGE");
  assert.equal(answers, 1);
  assert.equal(leader.topics.topic("default").nextOffset, 1);
});

test("a large record goes both ways, whole", async (t) => {
  for (const way of WAYS.filter(({ isBinary }) => isBinary)) {
    const { other } = await startPair(t);
    const { log } = other.clients(way);
    const value = new Uint8Array(900 * KIB).map((_, at) => at % 251);
    await log.produce({ topic: "default", records: [{ value }] });
    const { records } = await log.consume({ topic: "default" });
    assert.deepEqual(records[0]?.record?.value, value, way.name);
    const [first] = await collect(log.consumeStream({ topic: "default", endOffset: 1n }));
    assert.deepEqual(first?.records[0]?.record?.value, value);
  }
});

test("what only an outdated catalogue says is looked at again", async (t) => {
  for (const way of WAYS) {
    const { leader } = await startPair(t);
    const { id } = leader.topics.topic("default").info;
    const known = leader.topics.topic.bind(leader.topics);
    let isOutdated = true;
    leader.topics.topic = (name, topicId) => {
      if (!isOutdated) return known(name, topicId);
      throw new ProglogError("TOPIC_REPLACED", "It is another", {
        metadata: { topic: name, topicId: `${id - 1}` },
      });
    };
    leader.cluster.onConfirm = () => {
      isOutdated = false;
    };
    const { log } = leader.clients(way);
    const records = [{ value: text("x") }];
    await log.produce({ topic: "default", topicId: BigInt(id), records });
    isOutdated = true;
    await log.consume({ topic: "default", topicId: BigInt(id) });
    assert.equal(leader.cluster.confirmCount, 2, way.name);
  }
});

test("servers that speak TLS call each other so, with their certificates", async (t) => {
  const { ca, client, server, stranger } = makeCertificates();
  const tls = { tls: { ...server, clientCa: ca } };
  const leader = await startServer(t, "leader", {}, tls);
  const other = await startServer(t, "other", { clientTls: () => ({ ca, ...client }) });
  const foreign = await startServer(t, "foreign", { clientTls: () => ({ ca, ...stranger }) });
  for (const { cluster } of [other, foreign]) cluster.lead("default", leader.route());
  const records = [{ value: text("x") }];
  const answer = await other.clients().log.produce({ topic: "default", records });
  assert.equal(answer.leaderHint?.serverId, "leader");
  await failsWith(
    foreign.clients().log.produce({ topic: "default", records }, serverDeadline(500)),
    "NO_QUORUM",
  );
  assert.equal(leader.topics.topic("default").nextOffset, 1);
});
