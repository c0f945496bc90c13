import assert from "node:assert/strict";
import { test } from "node:test";
import { startApi } from "./api.ts";
import { connect2, request, request2 } from "./ports.ts";

const CONSUME = "/proglog.v1.LogService/Consume";
const ORIGIN = "https://app.example.com";
const PREFLIGHT = {
  origin: ORIGIN,
  "access-control-request-method": "POST",
  "access-control-request-headers": "content-type,connect-protocol-version",
};

test("what a browser or a probe finds", async (t) => {
  const { port } = await startApi(t);
  const root = await request(port, "/");
  assert.equal(root.status, 200);
  assert.match(root.body, /^proglog 0\.0\.0-test, a commit log server\./);
  assert.equal((await request(port, "/livez")).body, "ok\n");
  assert.equal((await request(port, "/livez?verbose=1")).status, 200);
  assert.equal((await request(port, "/livez", { method: "HEAD" })).status, 200);
  for (const path of ["/favicon.ico", "/proglog.v1.LogService", "//", "/livez/"]) {
    const { status, body } = await request(port, path);
    assert.equal(status, 404);
    assert.match(body, /GET \/ says what there is/);
  }
  assert.equal((await request(port, "/", { method: "DELETE" })).status, 404);
  const session = await connect2(t, port);
  assert.equal((await request2(session, { ":path": "/livez" })).body, "ok\n");
});

test("metrics are a page of their own, where there are any", async (t) => {
  const without = await startApi(t);
  assert.equal((await request(without.port, "/metrics")).status, 404);
  let fails = false;
  const { port } = await startApi(t, {
    metrics: () => (fails ? Promise.reject(new Error("secret")) : Promise.resolve("x_total 1\n")),
  });
  const page = await request(port, "/metrics?name=x");
  assert.equal(page.body, "x_total 1\n");
  assert.equal(page.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
  assert.equal((await request(port, "/metrics", { method: "POST" })).status, 404);
  const session = await connect2(t, port);
  assert.equal((await request2(session, { ":path": "/metrics" })).body, "x_total 1\n");
  fails = true;
  const failed = await request(port, "/metrics");
  assert.equal(failed.status, 500);
  assert.doesNotMatch(failed.body, /secret/);
});

test("without origins no page of another origin gets in", async (t) => {
  const { port } = await startApi(t);
  const preflight = await request(port, CONSUME, { method: "OPTIONS", headers: PREFLIGHT });
  assert.equal(preflight.headers["access-control-allow-origin"], undefined);
  assert.equal(preflight.headers["access-control-allow-methods"], undefined);
  assert.equal((await request(port, "/livez")).headers.vary, undefined);
});

test("pages of the origins named get in: preflight and call", async (t) => {
  const { port } = await startApi(t, { corsOrigins: ["https://other.example.com/", ORIGIN] });
  const preflight = await request(port, CONSUME, { method: "OPTIONS", headers: PREFLIGHT });
  assert.equal(preflight.status, 204);
  assert.equal(preflight.headers["access-control-allow-origin"], ORIGIN);
  assert.match(preflight.headers["access-control-allow-methods"] ?? "", /POST/);
  const allowed = (preflight.headers["access-control-allow-headers"] ?? "").toLowerCase();
  for (const header of ["content-type", "connect-protocol-version", "x-grpc-web", "grpc-timeout"]) {
    assert.ok(allowed.split(", ").includes(header), header);
  }
  assert.ok(Number(preflight.headers["access-control-max-age"]) > 0);
  assert.equal(preflight.headers.vary, "Origin");
  const headers = { origin: ORIGIN, "content-type": "application/json" };
  const call = await request(port, CONSUME, {
    method: "POST",
    headers,
    body: '{"topic":"default"}',
  });
  assert.equal(call.status, 200);
  assert.equal(call.headers["access-control-allow-origin"], ORIGIN);
  const exposed = (call.headers["access-control-expose-headers"] ?? "").toLowerCase();
  for (const header of ["grpc-status", "grpc-message", "grpc-status-details-bin"]) {
    assert.ok(exposed.includes(header), header);
  }
  assert.equal((await request(port, "/livez")).headers.vary, "Origin");
  const stranger = { ...headers, origin: "https://evil.example.com" };
  const other = await request(port, CONSUME, { method: "POST", headers: stranger, body: "{}" });
  assert.equal(other.headers["access-control-allow-origin"], undefined);
  assert.equal(other.headers.vary, "Origin");
  const session = await connect2(t, port);
  const over2 = await request2(
    session,
    { ":path": CONSUME, ":method": "POST", ...headers },
    '{"topic":"default"}',
  );
  assert.equal(over2.status, 200);
  assert.equal(over2.headers["access-control-allow-origin"], ORIGIN);
});

test("with * every origin gets in, without credentials", async (t) => {
  const { port } = await startApi(t, { corsOrigins: ["*"] });
  const preflight = await request(port, CONSUME, { method: "OPTIONS", headers: PREFLIGHT });
  assert.equal(preflight.headers["access-control-allow-origin"], "*");
  assert.equal(preflight.headers["access-control-allow-credentials"], undefined);
});

test("media types and methods that are no call are refused by their status", async (t) => {
  const { port } = await startApi(t);
  const headers = { "content-type": "text/plain" };
  assert.equal((await request(port, CONSUME, { method: "POST", headers, body: "{}" })).status, 415);
  assert.equal((await request(port, CONSUME, { method: "DELETE" })).status, 405);
  const produce = "/proglog.v1.LogService/Produce";
  const query = `?connect=v1&encoding=json&message=${encodeURIComponent("{}")}`;
  assert.equal((await request(port, produce + query)).status, 405, "a write is no GET");
});

test("a stream in both directions needs HTTP/2, and says so", async (t) => {
  const { port } = await startApi(t);
  const headers = { "content-type": "application/connect+json" };
  const path = "/proglog.v1.LogService/ProduceStream";
  const answer = await request(port, path, { method: "POST", headers, body: "" });
  assert.equal(answer.status, 505);
});
