import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { ProglogError } from "../../src/base/errors.ts";
import { SILENT_LOGGER } from "../../src/base/log.ts";
import type { Reason } from "../../src/base/reasons.ts";
import { Failover } from "../../src/client/failover.ts";
import {
  ConsumeStreamResponseSchema,
  LogService,
  ProduceResponseSchema,
} from "../../src/gen/proglog/v1/log_service_pb.ts";
import { GetTopicResponseSchema, TopicService } from "../../src/gen/proglog/v1/topic_service_pb.ts";
import { ErrorMap } from "../../src/rpc/error-map.ts";

const ERRORS = new ErrorMap(SILENT_LOGGER, "stub", () => {});

function refusal(reason: Reason, metadata: Record<string, string> = {}): ConnectError {
  return ERRORS.encode(new ProglogError(reason, "Refused", { metadata }));
}

const refused = () =>
  new ConnectError("gone", Code.Unavailable, undefined, undefined, { code: "ECONNREFUSED" });
const broken = () =>
  new ConnectError("gone", Code.Aborted, undefined, undefined, { code: "ECONNRESET" });

/** Several servers; each fails its next calls with what it is given, then answers. */
function servers(...scripts: (readonly (() => ConnectError)[])[]) {
  const asked: string[] = [];
  const timeouts: (number | undefined)[] = [];
  const places = scripts.map((script, number) => {
    const failures = [...script];
    const name = `server ${number}`;
    const begin = () => {
      asked.push(name);
      const failure = failures.shift();
      if (failure !== undefined) throw failure();
    };
    const transport = {
      async unary(method: { name: string }, _signal: unknown, timeoutMs: number | undefined) {
        timeouts.push(timeoutMs);
        begin();
        const schema = method.name === "Produce" ? ProduceResponseSchema : GetTopicResponseSchema;
        return { message: create(schema), header: new Headers(), trailer: new Headers() };
      },
      async stream() {
        const answer = async function* () {
          yield create(ConsumeStreamResponseSchema, { resumeOffset: 1n });
          begin();
        };
        return { message: answer() };
      },
    } as unknown as Transport;
    return { name, connection: { transport, close: () => asked.push(`close ${number}`) } };
  });
  const failover = new Failover(places);
  const log = createClient(LogService, failover);
  const topics = createClient(TopicService, failover);
  return { failover, asked, timeouts, log, topics };
}

test("when no server can be reached each is tried once, and the error is the last one's", async () => {
  const { asked, topics } = servers([refused], [refused], [refused]);
  await assert.rejects(topics.getTopic({}), (thrown) => thrown instanceof ConnectError);
  assert.deepEqual(asked, ["server 0", "server 1", "server 2"]);
});

test("a write that a server may have seen is not made again, and the next call goes elsewhere", async () => {
  for (const failure of [
    broken,
    () => refusal("NO_QUORUM", { outcome: "unknown" }),
    () => refusal("DISK_FAILED", { outcome: "unknown" }),
  ]) {
    const { asked, failover, log } = servers([failure], []);
    await assert.rejects(log.produce({}));
    assert.deepEqual(asked, ["server 0"]);
    assert.equal(failover.name, "server 1");
    await log.produce({});
    assert.deepEqual(asked, ["server 0", "server 1"]);
  }
});

test("a write that no server has seen, or none has done, is made at the next one", async () => {
  for (const failure of [
    refused,
    () => refusal("DRAINING"),
    () => refusal("STARTING"),
    () => refusal("NOT_LEADER", { outcome: "none" }),
  ]) {
    const { asked, log } = servers([failure], [failure], []);
    await log.produce({});
    assert.deepEqual(asked, ["server 0", "server 1", "server 2"]);
    await log.produce({});
    assert.equal(asked.at(-1), "server 2", "who answered is called again");
  }
});

test("a question is asked again also when nobody knows what became of it", async () => {
  const { asked, timeouts, topics } = servers([broken], [broken, broken]);
  await assert.rejects(topics.getTopic({}, { timeoutMs: 1_000 }));
  await topics.getTopic({}, { timeoutMs: 1_000 });
  assert.deepEqual(asked, ["server 0", "server 1", "server 0"]);
  assert.deepEqual(timeouts, [500, 500, 500], "one that is silent leaves time for the other");
});

test("what a server refuses for good is not asked elsewhere", async () => {
  for (const reason of [
    "TOPIC_NOT_FOUND",
    "OFFSET_MISMATCH",
    "DISK_FULL",
    "RATE_LIMITED",
  ] as const) {
    const { asked, topics } = servers([() => refusal(reason)], []);
    await assert.rejects(topics.getTopic({}));
    assert.deepEqual(asked, ["server 0"]);
  }
});

test("a stream that breaks is begun at the next server by whoever wants to go on", async () => {
  const { failover, log } = servers([broken], []);
  const read = async () => {
    for await (const _ of log.consumeStream({}));
  };
  await assert.rejects(read());
  assert.equal(failover.name, "server 1");
  await read();
  assert.equal(failover.name, "server 1");
});

test("all connections are closed", () => {
  const { asked, failover } = servers([], []);
  failover.close();
  assert.deepEqual(asked, ["close 0", "close 1"]);
});
