import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { ProglogError } from "../../src/base/errors.ts";
import { recordOfValue } from "../../src/rpc/record-wire.ts";
import { startRelay } from "../support/held-relay.ts";
import { clientsOf, collect, failsWith, serverDeadline, text, until, WAYS } from "./api.ts";
import { envelope } from "./raw-calls.ts";
import { GRPC_HEADER, startPair, startServer, startStub } from "./servers.ts";

const RECORDS = [{ value: text("x") }];
const UNKNOWN = { kind: "unknown" } as const;

test("while nobody leads, a call is told so before its deadline, and nothing was done", async (t) => {
  const { other } = await startPair(t);
  const deadline = serverDeadline(450);
  const clients = WAYS.map((way) => other.clients(way).log);
  for (const log of clients) await log.consume({ topic: "default" }); // connections are open
  other.cluster.lead("default", UNKNOWN);
  for (const log of clients) {
    const produced = log.produce({ topic: "default", records: RECORDS }, deadline);
    const read = collect(log.consumeStream({ topic: "default" }, deadline));
    const [metadata] = await Promise.all([
      failsWith(produced, "NO_QUORUM"),
      failsWith(read, "NO_QUORUM"),
    ]);
    assert.equal(metadata["outcome"], "none");
  }
  assert.equal(other.cluster.waiterCount, 0);
});

test("a call that waits for a leader is served when there is one", async (t) => {
  const { leader, other } = await startPair(t);
  other.cluster.lead("default", UNKNOWN);
  const produced = other.clients().log.produce({ topic: "default", records: RECORDS });
  await until(() => other.cluster.waiterCount === 1);
  other.cluster.lead("default", leader.route());
  assert.equal((await produced).firstOffset, 0n);
  assert.equal(leader.topics.topic("default").nextOffset, 1);
});

test("who gives up waiting for a leader leaves nothing behind", async (t) => {
  const { other } = await startPair(t);
  other.cluster.lead("default", UNKNOWN);
  const gone = new AbortController();
  const { log } = other.clients();
  const produced = log.produce({ topic: "default", records: RECORDS }, { signal: gone.signal });
  const tail = collect(log.consumeStream({ topic: "default" }, { signal: gone.signal }));
  await until(() => other.cluster.waiterCount === 2);
  gone.abort();
  await assert.rejects(produced);
  await assert.rejects(tail);
  await until(() => other.cluster.waiterCount === 0);
});

test("a call is not forwarded twice, although two servers each think that the other leads", async (t) => {
  const one = await startServer(t, "one");
  const two = await startServer(t, "two");
  one.cluster.lead("default", two.route(3));
  two.cluster.lead("default", one.route(2));
  let oneCalls = 0;
  one.topics.topic("default").onConfirm = () => {
    oneCalls += 1;
  };
  const { log } = one.clients();
  const metadata = await failsWith(
    log.produce({ topic: "default", records: RECORDS }, serverDeadline(300)),
    "NO_QUORUM",
  );
  assert.equal(metadata["outcome"], "none");
  assert.equal(oneCalls, 0);
  const told = await failsWith(
    log.produce(
      { topic: "default", records: RECORDS },
      { headers: { "proglog-forwarded-by": "someone" } },
    ),
    "NOT_LEADER",
  );
  assert.deepEqual(told, {
    topic: "default",
    leaderId: "two",
    leaderAddress: two.address,
    leaderTerm: "3",
    outcome: "none",
  });
  one.cluster.lead("default", UNKNOWN);
  assert.deepEqual(
    await failsWith(
      log.consume(
        { topic: "default", start: { case: "lastRecords", value: 1n } },
        { headers: { "proglog-forwarded-by": "someone" } },
      ),
      "NOT_LEADER",
    ),
    { topic: "default", outcome: "none" },
  );
});

test("a server that has lost its leadership names the new leader, who is asked at once", async (t) => {
  const { leader, other } = await startPair(t);
  const next = await startServer(t, "next");
  leader.cluster.lead("default", next.route(2));
  const { log } = other.clients();
  const answer = await log.produce({ topic: "default", records: RECORDS });
  assert.equal(answer.leaderHint?.serverId, "next");
  assert.equal(next.topics.topic("default").nextOffset, 1);
  assert.equal(leader.topics.topic("default").nextOffset, 0);
});

test("leadership that is lost between routing and proposing costs a call nothing", async (t) => {
  const { leader, other } = await startPair(t);
  const lost = () => new ProglogError("NOT_LEADER", "Lost it", { metadata: { outcome: "none" } });
  for (const way of WAYS) {
    const server = leader.topics.topic("default");
    server.refuseNext = lost();
    const { log } = leader.clients(way);
    await log.produce({ topic: "default", records: RECORDS });
    server.refuseNext = lost();
    await other.clients(way).log.produce({ topic: "default", records: RECORDS });
  }
  assert.equal(leader.topics.topic("default").nextOffset, 2 * WAYS.length);
});

test("a write whose outcome is not known is not made again", async (t) => {
  const { leader, other } = await startPair(t);
  const topic = leader.topics.topic("default");
  for (const server of [leader, other]) {
    const before = topic.batches.length;
    topic.refuseNext = new ProglogError("NOT_LEADER", "Lost it", {
      metadata: { outcome: "unknown" },
    });
    const { log } = server.clients();
    const metadata = await failsWith(
      log.produce({ topic: "default", records: RECORDS }),
      "NOT_LEADER",
    );
    assert.equal(metadata["outcome"], "unknown");
    assert.equal(topic.batches.length, before + 1);
  }
});

test("a deadline that comes while the leader is silent is told as that", async (t) => {
  const { leader, other } = await startPair(t);
  const relay = await startRelay(t, leader.address);
  const behind = { nodeId: "leader", address: relay.address, term: 1 };
  other.cluster.lead("default", { kind: "there", leader: behind });
  const { log } = other.clients();
  await log.produce({ topic: "default", records: RECORDS });
  relay.hold();
  const [written, read] = await Promise.all([
    failsWith(
      log.produce({ topic: "default", records: RECORDS }, serverDeadline(1_800)),
      "NO_QUORUM",
    ),
    failsWith(collect(log.consumeStream({ topic: "default" }, serverDeadline(1_800))), "NO_QUORUM"),
  ]);
  assert.equal(written["outcome"], "unknown");
  assert.equal(written["leaderId"], "leader");
  assert.equal(read["outcome"], undefined);
});

test("when the hop breaks, the outcome of a write is unknown, and a read is made again", async (t) => {
  const { leader, other } = await startPair(t);
  const stub = await startStub(t, (stream) => {
    stream.once("data", () => stream.session?.destroy());
  });
  other.cluster.lead("default", stub.route);
  const { log, topics } = other.clients();
  const metadata = await failsWith(
    log.produce({ topic: "default", records: RECORDS }),
    "NO_QUORUM",
  );
  assert.equal(metadata["outcome"], "unknown");
  assert.equal(metadata["leaderId"], "stub");
  assert.equal(stub.callCount, 1);
  const status = topics.getTopic({ topic: "default" });
  await until(() => stub.callCount >= 3);
  other.cluster.lead("default", leader.route());
  assert.equal((await status).status?.nextOffset, 0n);
});

test("a server that cannot be reached is asked until the deadline, and nothing was done", async (t) => {
  const { other } = await startPair(t);
  const gone = { nodeId: "gone", address: "127.0.0.1:1", term: 1 };
  other.cluster.lead("default", { kind: "there", leader: gone });
  const metadata = await failsWith(
    other.clients().log.produce({ topic: "default", records: RECORDS }, serverDeadline(400)),
    "NO_QUORUM",
  );
  assert.equal(metadata["outcome"], "none");
});

test("when the hop breaks in the middle of a stream, the client has what came and is told to go on", async (t) => {
  const { leader, other } = await startPair(t);
  leader.topics.topic("default").append(recordOfValue(text("a")));
  for (const way of WAYS) {
    const { log } = other.clients(way);
    const offsets: bigint[] = [];
    const reading = (async () => {
      for await (const { records } of log.consumeStream({ topic: "default" })) {
        for (const { offset } of records) offsets.push(offset);
        leader.cut();
      }
    })();
    await assert.rejects(reading, (thrown) => ConnectError.from(thrown).code === Code.Unavailable);
    assert.deepEqual(offsets, [0n], way.name);
  }
});

test("an answer beyond all limits is refused before it is held", async (t) => {
  const { other } = await startPair(t);
  const stub = await startStub(t, (stream) => {
    stream.respond(GRPC_HEADER);
    const huge = envelope(new Uint8Array(0));
    new DataView(huge.buffer).setUint32(1, 2 ** 31);
    stream.write(huge);
  });
  other.cluster.lead("default", stub.route);
  const { log, topics } = other.clients();
  await failsWith(topics.getTopic({ topic: "default" }), "INTERNAL");
  await failsWith(log.produce({ topic: "default", records: RECORDS }), "INTERNAL");
  await failsWith(collect(log.consumeStream({ topic: "default" })), "INTERNAL");
  assert.equal(stub.callCount, 3);
});

test("an answer that is none is as if the server were not there", async (t) => {
  const { other } = await startPair(t);
  const answers = [{ ":status": 503 }, { ":status": 404, "content-type": "text/html" }];
  for (const fields of answers) {
    const stub = await startStub(t, (stream) => stream.respond(fields, { endStream: true }));
    other.cluster.lead("default", stub.route);
    const metadata = await failsWith(
      other.clients().log.produce({ topic: "default", records: RECORDS }, serverDeadline(300)),
      "NO_QUORUM",
    );
    assert.equal(metadata["outcome"], "none");
  }
});

test("a status that cannot be read is an unknown outcome", async (t) => {
  const { other } = await startPair(t);
  for (const status of ["", "x", "99"]) {
    const stub = await startStub(t, (stream) => {
      stream.respond(
        { ...GRPC_HEADER, "grpc-status": status, "grpc-message": "%zz" },
        { endStream: true },
      );
    });
    other.cluster.lead("default", stub.route);
    const { log } = other.clients();
    await assert.rejects(log.produce({ topic: "default", records: RECORDS }), (thrown) => {
      assert.ok(
        [Code.Internal, Code.Unavailable].includes(ConnectError.from(thrown).code),
        `${thrown}`,
      );
      return true;
    });
    assert.equal(stub.callCount, 1);
  }
});

test("a server that stops hands its clients on, and those who wait are told", async (t) => {
  const { leader, other } = await startPair(t);
  other.cluster.lead("default", UNKNOWN);
  const { log } = other.clients();
  const waiting = log.produce({ topic: "default", records: RECORDS });
  await until(() => other.cluster.waiterCount === 1);
  other.state.drain();
  const metadata = await failsWith(waiting, "DRAINING");
  assert.equal(metadata["outcome"], "none");
  // The leader stops: others ask again until there is another one.
  const third = await startServer(t, "third");
  third.cluster.lead("default", leader.route());
  leader.state.drain();
  const produced = clientsOf(third.port).log.produce({ topic: "default", records: RECORDS });
  await until(() => third.cluster.waiterCount === 1);
  third.cluster.lead("default", { kind: "here" });
  assert.equal((await produced).firstOffset, 0n);
  assert.equal(third.topics.topic("default").nextOffset, 1);
});
