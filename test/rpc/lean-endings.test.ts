import assert from "node:assert/strict";
import { test } from "node:test";
import { ProglogError } from "../../src/base/errors.ts";
import { text, until } from "./api.ts";
import { bidi, GRPC, message, open } from "./lean-methods.ts";
import {
  BIDI,
  bidiRequest,
  SERVER_STREAM,
  serveBothWays,
  serverStreamRequest,
  UNARY,
  unaryRequest,
} from "./lean-service.ts";
import {
  call1,
  call2,
  callFrame,
  FORMS,
  FRAMES_HELLO,
  GRPC_FORM,
  resetFrame,
} from "./lean-wire.ts";
import { connect2, RawConnection, request2 } from "./ports.ts";
import { envelope } from "./raw-calls.ts";

for (const form of FORMS) {
  test(`the deadline ends calls whose handlers do not hear it (${form.name})`, async (t) => {
    const { port } = await serveBothWays(t);
    const session = form.isHttp2 ? await connect2(t, port) : undefined;
    const headers = form.timeout(40);
    const ask = async (path: string, type: string, body: Uint8Array, isOpen = false) => {
      const call = { path, type, pieces: [body], headers, isOpen };
      const answer = await (session === undefined ? call1(port, call) : call2(session, call));
      return JSON.stringify(answer.fields) + answer.body;
    };
    const bare = (body: Uint8Array) => (form.hasEnvelopes ? envelope(body) : body);
    const late = /longer than its deadline of 40 ms/;
    for (const verb of ["deaf", "heed"]) {
      assert.match(await ask(UNARY, form.unary, bare(unaryRequest(verb))), late);
      const stream = envelope(serverStreamRequest(verb, 3));
      assert.match(await ask(SERVER_STREAM, form.streaming, stream), late);
      const begun = await ask(
        SERVER_STREAM,
        form.streaming,
        envelope(serverStreamRequest(`late-${verb}`, 3)),
      );
      assert.match(begun, /(?:)/);
      if (!form.isHttp2) continue;
      assert.match(await ask(BIDI, form.streaming, envelope(bidiRequest(verb)), true), late);
    }
    // While the body has not come, too.
    assert.match(await ask(UNARY, form.unary, Uint8Array.of(0, 0, 0), true), late);
    assert.match(await ask(SERVER_STREAM, form.streaming, Uint8Array.of(0), true), late);
  });
}

test("who hears of the deadline may say what came of the call", async (t) => {
  const { port } = await serveBothWays(t);
  const session = await connect2(t, port);
  const pieces = [envelope(unaryRequest("heed"))];
  const call = {
    path: UNARY,
    type: "application/grpc",
    pieces,
    headers: { "grpc-timeout": "20m" },
  };
  const { fields } = await call2(session, call);
  const details = Buffer.from(String(fields["grpc-status-details-bin"]), "base64").toString(
    "latin1",
  );
  assert.equal(fields["grpc-status"], "4");
  assert.match(details, /outcome.*unknown/s);
});

test("a client that leaves is noticed by whoever waits, reads or writes", async (t) => {
  const seen: string[] = [];
  const { port } = await serveBothWays(
    t,
    bidi(async (input, output, call) => {
      const reading = (async () => {
        for await (const _ of input);
      })().catch((thrown: ProglogError) => seen.push(`read: ${thrown.reason}`));
      while (!output.isClosed) if (!output.write(message(100_000))) await output.whenRoom();
      assert.equal(output.write(message(1)), false);
      await output.whenRoom();
      await reading;
      seen.push(`signal: ${(call.signal.reason as ProglogError).reason}`);
    }),
  );
  const stream = await open(t, port, BIDI);
  stream.write(envelope(new Uint8Array(3)));
  await new Promise((resolve) => setTimeout(resolve, 50));
  stream.session?.destroy();
  await until(() => seen.length === 2);
  assert.deepEqual(seen, ["read: CANCELED", "signal: CANCELED"]);
});

// Node 24 kept such a stream, and all that was written to it, until the connection ended.
test("a reset with NO_ERROR ends a call whose answer waits for the client", async (t) => {
  const seen: string[] = [];
  const { port } = await serveBothWays(
    t,
    bidi(async (_input, output, call) => {
      while (!output.isClosed) if (!output.write(message(100_000))) await output.whenRoom();
      seen.push(`${(call.signal.reason as ProglogError).reason}`);
    }),
  );
  for (const code of [0, 8]) {
    const connection = await RawConnection.open(t, port);
    const header = callFrame(1, BIDI, "application/grpc");
    connection.socket.write(Buffer.concat([FRAMES_HELLO, header]));
    await new Promise((resolve) => setTimeout(resolve, 30));
    connection.socket.write(resetFrame(1, code));
  }
  await until(() => seen.length === 2);
  assert.deepEqual(seen, ["CANCELED", "CANCELED"]);
});

test("an answer that comes before the client has ended is whole, and harms no other call", async (t) => {
  const { port } = await serveBothWays(
    t,
    bidi(async (_input, output) => {
      output.write(message(5));
    }),
  );
  const session = await connect2(t, port);
  const stream = session.request({ ...GRPC, ":path": BIDI });
  let trailers: Record<string, unknown> = {};
  stream.on("trailers", (found) => {
    trailers = found;
  });
  stream.on("error", () => {});
  let bytes = 0;
  stream.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
  });
  for (let n = 0; n < 300; n += 1) stream.write(envelope(new Uint8Array(30_000)));
  await new Promise((resolve) => stream.once("close", resolve));
  assert.equal(trailers["grpc-status"], "0");
  assert.equal(bytes, 10);
  const again = await request2(session, { ...GRPC, ":path": BIDI }, envelope(new Uint8Array(3)));
  assert.equal(again.trailers["grpc-status"], "0");
});

test("a handler that fails after its answer was cut off harms nobody", async (t) => {
  let finished = 0;
  const served = await serveBothWays(t, {
    methods: {
      produce: {
        kind: "unary",
        answer: async (_body, { call }) => {
          await new Promise((resolve) => call.signal.addEventListener("abort", resolve));
          finished += 1;
          throw new ProglogError("DISK_FULL", "Too late for anybody");
        },
      },
    },
  });
  const session = await connect2(t, served.port);
  for (const isSlow of [true, false]) {
    const stream = session.request({ ...GRPC, ":path": UNARY });
    stream.on("error", () => {});
    stream.end(envelope(text("x")));
    await new Promise((resolve) => setTimeout(resolve, 20));
    if (isSlow) stream.close(8);
    else stream.destroy();
  }
  await until(() => finished === 2);
});

test("fields that no header can hold end the call, and not the server", async (t) => {
  const served = await serveBothWays(t, {
    methods: {
      produce: {
        kind: "unary",
        answer: (_body, call) => {
          call.responseTrailer.set("grpc-encoding", "x");
          call.responseHeader.set("transfer-encoding", "chunked");
          return message(1);
        },
      },
    },
  });
  const session = await connect2(t, served.port);
  const call = { path: UNARY, type: GRPC_FORM.unary, pieces: [envelope(text("x"))] };
  const { fields: found, status } = await call2(session, call);
  assert.equal(found["grpc-status"], undefined, `${status}`);
  assert.equal(served.listener.connectionCount, 1);
});
