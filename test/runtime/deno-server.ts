import { readFileSync } from "node:fs";
import process from "node:process";
import { SILENT_LOGGER } from "../../src/base/log.ts";
import { listen } from "../../src/platform/http-listener.ts";
import { SystemClock } from "../../src/platform/system-clock.ts";
import { createHandler } from "../../src/rpc/routes.ts";
import { ServingState } from "../../src/rpc/serving-state.ts";
import { FakeTopics } from "../support/fake-topics.ts";

// The API over topics in memory, for deno.test.ts: prints its port, ends with its
// standard input. Arguments: key and certificate, for TLS.
const [key, cert] = process.argv.slice(2);
const tls = key && cert ? { tls: { key: readFileSync(key), cert: readFileSync(cert) } } : {};
const clock = new SystemClock();
const handler = createHandler({
  topics: new FakeTopics(),
  state: new ServingState(),
  version: "0.0.0-test",
  self: () => undefined,
  clock,
  logger: SILENT_LOGGER,
  onFatal: (error) => {
    throw error;
  },
});
const listener = await listen({
  host: "127.0.0.1",
  port: 0,
  onRequest: handler.onRequest,
  clock,
  logger: SILENT_LOGGER,
  ...tls,
});
console.log(listener.port);
process.stdin.on("end", () => {
  void listener.close(0).then(() => process.exit(0));
});
process.stdin.resume();
