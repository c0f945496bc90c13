import assert from "node:assert/strict";
import { once } from "node:events";
import { constants } from "node:http2";
import { test } from "node:test";
import { MIB } from "../../src/base/units.ts";
import { connect2, openPort } from "./ports.ts";

// Goal: the limits of this server are those it names, not one of node:http2. Method:
// more answers wait on one connection than the library would bear by default.
test("answers that nobody reads do not make a connection refuse calls", async (t) => {
  const port = await openPort(t, (request, response) => {
    response.writeHead(200);
    if (request.url === "/large") response.write(new Uint8Array(MIB));
    else response.end();
  });
  const session = await connect2(t, port.port);
  for (let n = 0; n < 96; n += 1) {
    const stream = session.request({ ":path": "/large" });
    stream.on("error", () => {});
    await once(stream, "response");
  }
  const last = session.request({ ":path": "/small" });
  last.resume();
  await once(last, "close");
  assert.equal(last.rstCode, constants.NGHTTP2_NO_ERROR);
});
