import assert from "node:assert/strict";
import { test } from "node:test";
import { createClient } from "@connectrpc/connect";
import { ServerReflection } from "../../src/gen/grpc/reflection/v1/reflection_pb.ts";
import {
  Health,
  HealthCheckResponse_ServingStatus as Status,
} from "../../src/gen/health/v1/health_pb.ts";
import { clientsOf, collect, failsWith, GRPC, startApi, until, WAYS } from "./api.ts";
import { connect2, request, request2 } from "./ports.ts";

/** Long enough that a test fails by it, not by chance. */
const FOR_EVER_MS = 60_000;
const TOPIC = { topic: "default" };

// Goal: a drain ends by itself, however many clients would stay for ever. Method:
// open one of every kind of call that lasts, drain, and wait for the port to close.
test("nothing that lasts holds up a drain, and nothing is cut off", async (t) => {
  const { port, listener, topics, state } = await startApi(t);
  const transport = GRPC.open(port);
  const { log } = clientsOf(port);
  const topic = topics.topic("default");
  let release = () => {};
  topic.hold = new Promise((resolve) => {
    release = resolve;
  });
  const seen: Status[] = [];
  const watching = (async () => {
    for await (const { status } of createClient(Health, transport).watch({})) seen.push(status);
  })();
  let asked = 0;
  async function* questions() {
    yield { messageRequest: { case: "listServices", value: "" } as const };
    asked += 1;
    await new Promise(() => {});
  }
  const reflection = createClient(ServerReflection, transport);
  async function* batches() {
    yield { batches: [{ ...TOPIC, records: [{}] }] };
    await new Promise(() => {});
  }
  const acknowledged: bigint[] = [];
  const producing = (async () => {
    for await (const { acknowledgements } of log.produceStream(batches())) {
      acknowledged.push(...acknowledgements.map(({ firstOffset }) => firstOffset));
    }
  })();
  const ends = [
    failsWith(watching, "DRAINING"),
    failsWith(collect(reflection.serverReflectionInfo(questions())), "DRAINING"),
    failsWith(collect(log.consumeStream(TOPIC)), "DRAINING"),
    failsWith(producing, "DRAINING"),
  ];
  const poll = log.consume({ ...TOPIC, wait: { seconds: 60n } });
  const write = log.produce({ ...TOPIC, records: [{}] });
  await until(() => topic.openWaits === 2 && topic.batches.length === 2);
  await until(() => seen.length === 1 && asked === 1);

  state.drain();
  const closed = listener.close(FOR_EVER_MS);
  assert.equal((await poll).records.length, 0);
  release();
  assert.equal((await write).duplicate, false);
  await Promise.all(ends);
  await closed;
  assert.deepEqual(seen, [Status.SERVING, Status.NOT_SERVING]);
  assert.equal(acknowledged.length, 1, "a batch that was taken is answered");
  assert.equal(topic.nextOffset, 2);
});

test("calls that come during a drain are refused, safe to retry; probes are answered", async (t) => {
  const { port, state } = await startApi(t);
  const { log, topics } = clientsOf(port);
  state.drain();
  await failsWith(log.produce({ ...TOPIC, records: [{}] }), "DRAINING");
  await failsWith(collect(log.consumeStream(TOPIC)), "DRAINING");
  await failsWith(topics.listTopics({}), "DRAINING");
  const session = await connect2(t, port);
  assert.equal((await request2(session, { ":path": "/livez" })).status, 200);
  assert.equal((await request2(session, { ":path": "/readyz" })).status, 503);
});

test("while a call is under way, the port says that it drains, and refuses other calls", async (t) => {
  const { port, listener, topics, state } = await startApi(t);
  const topic = topics.topic("default");
  let release = () => {};
  topic.hold = new Promise((resolve) => {
    release = resolve;
  });
  const write = clientsOf(port).log.produce({ ...TOPIC, records: [{}] });
  await until(() => topic.batches.length === 1);
  state.drain();
  const closed = listener.close(FOR_EVER_MS);
  for (const way of WAYS) {
    const { log, transport } = clientsOf(port, way);
    const health = createClient(Health, transport);
    assert.equal((await health.check({})).status, Status.NOT_SERVING, way.name);
    await failsWith(collect(health.watch({})), "DRAINING");
    await failsWith(log.consume(TOPIC), "DRAINING");
    await failsWith(collect(log.consumeStream(TOPIC)), "DRAINING");
    assert.equal((await health.check({})).status, Status.NOT_SERVING, way.name);
  }
  assert.equal((await request(port, "/livez")).status, 200);
  assert.equal((await request(port, "/readyz")).body, "draining\n");
  release();
  assert.equal((await write).duplicate, false);
  await closed;
  await assert.rejects(request(port, "/readyz"));
});
