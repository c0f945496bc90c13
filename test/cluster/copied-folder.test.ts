import assert from "node:assert/strict";
import { test } from "node:test";
import { Several } from "./several.ts";

test("A server that others take another process for ends, unless that ends before", async () => {
  const cluster = await Several.three();
  const server = cluster.server("b");
  const port = cluster.network.port("b");
  assert.ok(port !== undefined);
  port.isDisowned = () => true;
  await cluster.clock.advance(9_000);
  port.isDisowned = () => false;
  await cluster.clock.advance(2_000);
  port.isDisowned = () => true;
  await cluster.clock.advance(9_000);
  assert.deepEqual(server.failures, []);
  await cluster.clock.advance(2_000);
  assert.match(String(server.failures[0]), /one of the two runs on a copy of its data folder/);
});
