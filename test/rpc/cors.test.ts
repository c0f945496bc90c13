import assert from "node:assert/strict";
import { test } from "node:test";
import { Cors } from "../../src/rpc/cors.ts";

/** Whether a page of `origin`, as a browser writes it, is let in by a setting. */
function letsIn(setting: string, origin: string): boolean {
  const fields = new Cors([setting]).fieldsFor({ origin }) ?? {};
  return fields["access-control-allow-origin"] === origin;
}

test("an origin is the scheme, the host and the port, however it was written", () => {
  for (const written of [
    "https://app.example.com",
    "https://app.example.com/",
    "https://app.example.com:443",
    "HTTPS://App.Example.com/index.html",
  ]) {
    assert.ok(letsIn(written, "https://app.example.com"), written);
  }
  assert.ok(letsIn("http://localhost:8000/", "http://localhost:8000"));
  assert.ok(letsIn("chrome-extension://abc/", "chrome-extension://abc"));
  assert.ok(letsIn("null", "null"), "a page without an origin, when it is asked for");
});

test("what differs in one of the three is another origin", () => {
  const setting = "https://app.example.com";
  for (const other of [
    "http://app.example.com",
    "https://app.example.com:8443",
    "https://app.example.com.evil.test",
    "https://example.com",
    "null",
  ]) {
    assert.ok(!letsIn(setting, other), other);
  }
  assert.ok(!letsIn("chrome-extension://abc", "chrome-extension://abd"));
  assert.ok(!letsIn("app.example.com", "https://app.example.com"), "a host is no origin");
});
