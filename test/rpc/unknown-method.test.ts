import assert from "node:assert/strict";
import { test } from "node:test";
import { startApi } from "./api.ts";
import { connect2, request2 } from "./ports.ts";

const NOWHERE = "/proglog.v1.LogService/Nowhere";

// grpc-go takes a status in the header only when nothing at all follows it.
test("gRPC learns of a method that is not here from the trailers", async (t) => {
  const { port } = await startApi(t);
  const session = await connect2(t, port);
  const headers = { ":method": "POST", ":path": NOWHERE, "content-type": "application/grpc" };
  const answer = await request2(session, headers, "");
  assert.equal(answer.headers["grpc-status"], undefined);
  assert.equal(answer.trailers["grpc-status"], "12");
});
