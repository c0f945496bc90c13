import assert from "node:assert/strict";
import https from "node:https";
import { type TestContext, test } from "node:test";
import type { TLSSocket } from "node:tls";
import { ProglogError } from "../../src/base/errors.ts";
import type { Call, CallEnd, CallHook } from "../../src/rpc/call.ts";
import { text, until } from "./api.ts";
import { makeCertificates } from "./certificates.ts";
import {
  BIDI,
  bidiRequest,
  SERVER_STREAM,
  type Served,
  type ServeOptions,
  serveBothWays,
  serverStreamRequest,
  UNARY,
  unaryRequest,
} from "./lean-service.ts";
import { call1, call2, FORMS, type WireAnswer, type WireCall } from "./lean-wire.ts";
import { connect2 } from "./ports.ts";
import { envelope } from "./raw-calls.ts";

// Goal: no call gets by the door, whatever way it takes. Method: every kind of call, in
// every form, by both ways, against a door that refuses or counts.

interface Knock {
  readonly name: string;
  readonly answer: WireAnswer;
}

/** Makes every kind of call in every form, one after the other. */
async function knock(t: TestContext, { port }: Served): Promise<readonly Knock[]> {
  const session = await connect2(t, port);
  const knocks: Knock[] = [];
  for (const form of FORMS) {
    const bare = (body: Uint8Array) => (form.hasEnvelopes ? envelope(body) : body);
    const calls: WireCall[] = [
      { path: UNARY, type: form.unary, pieces: [bare(unaryRequest("", text("abc")))] },
      { path: SERVER_STREAM, type: form.streaming, pieces: [envelope(serverStreamRequest("", 2))] },
    ];
    if (form.isHttp2) {
      calls.push({ path: BIDI, type: form.streaming, pieces: [envelope(bidiRequest(""))] });
    }
    for (const call of calls) {
      const answer = await (form.isHttp2 ? call2(session, call) : call1(port, call));
      knocks.push({ name: `${call.path} by ${form.name}`, answer });
    }
  }
  return knocks;
}

const CALLS_OF_A_KNOCK = 13;
const said = ({ answer }: Knock) => JSON.stringify(answer.fields) + answer.body;

const WAYS = [
  { name: "lean", lean: true },
  { name: "library", lean: false },
] as const;

const refuse = () => {
  throw new ProglogError("RATE_LIMITED", "Not you");
};

for (const { name, lean } of WAYS) {
  const serve = (t: TestContext, options: ServeOptions) => serveBothWays(t, { lean, ...options });

  test(`a hook that refuses refuses every call (${name})`, async (t) => {
    const hooks: Record<string, CallHook> = {
      "at once": refuse,
      later: async () => {
        await new Promise((resolve) => setTimeout(resolve, 1));
        return refuse();
      },
    };
    for (const [when, hook] of Object.entries(hooks)) {
      const served = await serve(t, { hook });
      const knocks = await knock(t, served);
      assert.equal(knocks.length, CALLS_OF_A_KNOCK);
      for (const one of knocks) assert.match(said(one), /Not you/, `${one.name}, ${when}`);
      assert.deepEqual(served.counts, { lean: 0, library: 0 });
    }
  });

  test(`a hook is told of every call and of its end (${name})`, async (t) => {
    for (const isLate of [false, true]) {
      const begun: Call[] = [];
      const ended: CallEnd[] = [];
      const atEnd = (end: CallEnd) => void ended.push(end);
      const served = await serve(t, {
        hook: (call) => {
          begun.push(call);
          assert.equal(call.connection.remoteAddress, "127.0.0.1");
          return isLate ? Promise.resolve(atEnd) : atEnd;
        },
      });
      const knocks = await knock(t, served);
      for (const one of knocks) assert.doesNotMatch(said(one), /"code"|grpc-status(?:: |":")[1-9]/);
      await until(() => ended.length === CALLS_OF_A_KNOCK);
      assert.equal(begun.length, CALLS_OF_A_KNOCK);
      assert.deepEqual(served.counts, {
        lean: lean ? CALLS_OF_A_KNOCK : 0,
        library: lean ? 0 : CALLS_OF_A_KNOCK,
      });
      assert.ok(ended.every(({ outcome }) => outcome === undefined));
      assert.deepEqual(new Set(begun.map(({ method }) => `/${method}`)), new Set(PATHS));
    }
  });

  test(`a call whose hook does not decide ends at its deadline (${name})`, async (t) => {
    const served = await serve(t, { hook: () => new Promise<undefined>(() => {}) });
    const session = await connect2(t, served.port);
    const pieces = [envelope(unaryRequest(""))];
    const headers = { "grpc-timeout": "30m" };
    const { fields } = await call2(session, {
      path: UNARY,
      type: "application/grpc",
      pieces,
      headers,
    });
    assert.equal(fields["grpc-status"], "4");
    assert.deepEqual(served.counts, { lean: 0, library: 0 });
  });

  test(`a drain refuses every call (${name})`, async (t) => {
    const served = await serve(t, {});
    served.state.drain();
    for (const one of await knock(t, served)) assert.match(said(one), /is stopping/, one.name);
    assert.deepEqual(served.counts, { lean: 0, library: 0 });
  });

  test(`calls and streams are limited in number, and an ended one makes room (${name})`, async (t) => {
    const served = await serve(t, { limits: { callsMax: 2, streamsMax: 1 } });
    const session = await connect2(t, served.port);
    const type = "application/grpc";
    const stream = { path: BIDI, type, pieces: [envelope(bidiRequest("deaf"))] };
    const first = session.request({ ":method": "POST", ":path": BIDI, "content-type": type });
    first.on("error", () => {});
    first.write(envelope(bidiRequest("")));
    await new Promise((resolve) => first.once("data", resolve));
    assert.match(
      String((await call2(session, stream)).fields["grpc-message"]),
      /1 streams are open/,
    );
    const deaf = { path: UNARY, type, pieces: [envelope(unaryRequest("deaf"))] };
    const headers = { "grpc-timeout": "200m" };
    const second = call2(session, { ...deaf, headers });
    await until(() => served.counts.lean + served.counts.library === 2);
    const fine = { path: UNARY, type, pieces: [envelope(unaryRequest(""))] };
    assert.match(String((await call2(session, fine)).fields["grpc-message"]), /2 calls are open/);
    first.destroy();
    if (lean) await second;
    await until(() => first.closed);
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal((await call2(session, fine)).fields["grpc-status"], "0");
  });

  test(`a hook sees the certificate of the client, over both versions of HTTP (${name})`, async (t) => {
    const { ca, server, client } = makeCertificates();
    const names: string[] = [];
    const hook: CallHook = ({ connection }) => {
      const { subject } = (connection as TLSSocket).getPeerCertificate();
      names.push(String(subject.CN));
      return undefined;
    };
    const served = await serve(t, { hook, listen: { tls: { ...server, clientCa: ca } } });
    const session = await connect2(t, served.port, { ca, ...client }, "https");
    const pieces = [envelope(unaryRequest("", text("abc")))];
    const { fields } = await call2(session, { path: UNARY, type: "application/grpc", pieces });
    assert.equal(fields["grpc-status"], "0");
    const body = await new Promise<string>((resolve, reject) => {
      const sent = https.request(
        {
          ...{ host: "127.0.0.1", port: served.port, path: UNARY, method: "POST" },
          ...{ ca, ...client, agent: false, headers: { "content-type": "application/proto" } },
        },
        (answer) => {
          const chunks: Buffer[] = [];
          answer.on("data", (chunk: Buffer) => chunks.push(chunk));
          answer.on("end", () => resolve(Buffer.concat(chunks).toString("hex")));
        },
      );
      sent.on("error", reject);
      sent.end(unaryRequest("", text("abc")));
    });
    assert.equal(body, "0803");
    assert.deepEqual(names, ["client", "client"]);
    assert.deepEqual(served.counts, { lean: lean ? 2 : 0, library: lean ? 0 : 2 });
  });

  test(`closing the port waits for calls under way (${name})`, async (t) => {
    const served = await serve(t, {});
    const session = await connect2(t, served.port);
    const stream = session.request({
      ":method": "POST",
      ":path": BIDI,
      "content-type": "application/grpc",
    });
    let status: unknown;
    stream.on("trailers", (trailers) => {
      status = trailers["grpc-status"];
    });
    stream.write(envelope(bidiRequest("")));
    await new Promise((resolve) => stream.once("data", resolve));
    let isClosed = false;
    let isTold = false;
    session.on("goaway", () => {
      isTold = true;
    });
    const closed = served.listener.close(60_000).then(() => {
      isClosed = true;
    });
    await until(() => isTold);
    assert.equal(isClosed, false);
    stream.end(envelope(bidiRequest("", text("more"))));
    await closed;
    assert.equal(status, "0");
  });
}

const PATHS = [UNARY, SERVER_STREAM, BIDI];
