import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import {
  Health,
  HealthCheckResponse_ServingStatus as Status,
} from "../../src/gen/health/v1/health_pb.ts";
import { ServingState } from "../../src/rpc/serving-state.ts";
import { failsWith, GRPC, startApi, until, WAYS } from "./api.ts";
import { request } from "./ports.ts";

const SERVICES = [
  "",
  "proglog.v1.LogService",
  "proglog.v1.TopicService",
  "proglog.v1.ClusterService",
  "log.v1.Log",
];

for (const way of WAYS) {
  test(`health of every service, by every method (${way.name})`, async (t) => {
    const { port, state } = await startApi(t);
    const health = createClient(Health, way.open(port));
    for (const service of SERVICES) {
      assert.equal((await health.check({ service })).status, Status.SERVING);
    }
    const unknown = health.check({ service: "no.such.Service" });
    assert.deepEqual(await failsWith(unknown, "SERVICE_NOT_FOUND"), { service: "no.such.Service" });
    await assert.rejects(unknown, (thrown) => ConnectError.from(thrown).code === Code.NotFound);
    const { statuses } = await health.list({});
    assert.deepEqual(Object.keys(statuses).toSorted(), SERVICES.toSorted());
    for await (const { status } of health.watch({ service: "no.such.Service" })) {
      assert.equal(status, Status.SERVICE_UNKNOWN);
      break;
    }
    const seen: Status[] = [];
    for await (const { status } of health.watch({ service: "log.v1.Log" })) {
      seen.push(status);
      if (seen.length === 1) state.drain();
      if (seen.length === 2) break;
    }
    assert.deepEqual(seen, [Status.SERVING, Status.NOT_SERVING]);
    assert.equal((await health.check({})).status, Status.NOT_SERVING);
  });
}

test("a server that recovers says so, and then that it serves", async (t) => {
  const state = new ServingState();
  const recovered = state.waitFor("recovery");
  const published = state.waitFor("listener");
  const { port } = await startApi(t, { state });
  const health = createClient(Health, GRPC.open(port));
  assert.equal((await health.check({})).status, Status.NOT_SERVING);
  assert.deepEqual(await ready(port), [503, "waiting for: recovery, listener\n"]);
  const seen: Status[] = [];
  const watching = (async () => {
    for await (const { status } of health.watch({})) {
      seen.push(status);
      if (status === Status.SERVING) return;
    }
  })();
  await until(() => seen.length === 1);
  recovered();
  assert.deepEqual(await ready(port), [503, "waiting for: listener\n"]);
  published();
  await watching;
  assert.deepEqual(seen, [Status.NOT_SERVING, Status.SERVING]);
  assert.deepEqual(await ready(port), [200, "ready\n"]);
  state.drain();
  assert.deepEqual(await ready(port), [503, "draining\n"]);
  assert.equal((await request(port, "/livez")).status, 200);
});

async function ready(port: number): Promise<[number, string]> {
  const { status, body } = await request(port, "/readyz");
  return [status, body];
}
