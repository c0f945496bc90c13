import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { LogService } from "../../src/gen/proglog/v1/log_service_pb.ts";
import { makeFolder, removeFolder, ServerProcess } from "./server-process.ts";

// Goal: a tail goes on though others of its connection are cancelled in the middle of what they read. Bun kept its
// records and heartbeats back, for as long as the client said nothing, after 4 to 8 cancels. Needs a client whose
// HTTP/2 is not Bun's: so this is a test of the executable.

const ROUNDS = 30;
const RECORDS = 8_000;
/** The keep-alive of the server would free what is held after a minute. */
const PATIENCE_MS = 20_000;

let dir = "";
before(() => {
  dir = makeFolder("cancelled");
});
after(() => removeFolder(dir));

test("a tail goes on when catch-ups on its connection are cancelled", async () => {
  const server = await ServerProcess.start(dir);
  const producer = server.clients();
  for (const topic of ["read", "live"]) await producer.topics.createTopic({ topic });
  const records = Array.from({ length: RECORDS / 8 }, () => ({ value: new Uint8Array(1000) }));
  for (let at = 0; at < RECORDS; at += records.length) {
    await producer.log.produce({ topic: "read", records });
  }
  // Calls of one transport share a connection.
  const reader = createClient(
    LogService,
    createGrpcTransport({ baseUrl: `http://${server.address}` }),
  );
  const tailEnd = new AbortController();
  let seen = 0;
  const tail = (async () => {
    const stream = reader.consumeStream({ topic: "live" }, { signal: tailEnd.signal });
    for await (const { records: found } of stream) seen += found.length;
  })().catch((error: unknown) => {
    if (!tailEnd.signal.aborted) throw error;
  });
  const readSome = async (recordsMax: number) => {
    const end = new AbortController();
    let count = 0;
    try {
      for await (const { records: found } of reader.consumeStream(
        { topic: "read" },
        { signal: end.signal },
      )) {
        count += found.length;
        if (count > recordsMax) end.abort();
      }
    } catch (error) {
      if (!end.signal.aborted) throw error;
    }
  };
  for (let round = 1; round <= ROUNDS; round += 1) {
    await Promise.all([80, 150, 220, 290].map(readSome));
    await pause(30);
    await producer.log.produce({ topic: "live", records: [{ value: new Uint8Array(200) }] });
    for (let waitedMs = 0; seen < round && waitedMs < PATIENCE_MS; waitedMs += 10) await pause(10);
    assert.equal(seen, round, `after ${4 * round} cancels`);
  }
  tailEnd.abort();
  await tail;
  assert.equal(await server.stop(), 0, server.errors);
});
