import assert from "node:assert/strict";
import { test } from "node:test";
import { concat } from "../../src/base/bytes.ts";
import { MemoryLogger, text } from "./api.ts";
import {
  BIDI,
  bidiRequest,
  SERVER_STREAM,
  serveBothWays,
  serverStreamRequest,
  UNARY,
  unaryRequest,
} from "./lean-service.ts";
import { call1, call2, FORMS, type Form, type WireAnswer, type WireCall } from "./lean-wire.ts";
import { connect2 } from "./ports.ts";
import { envelope } from "./raw-calls.ts";

// Goal: nobody can tell by an answer which way a call took. Method: the same bytes to
// both, and what comes back is compared byte for byte.

const LIMITS = { requestBytesMax: 1000 };
const SLACK = 256 * 1024;
const whole = unaryRequest("", text("hello"), text("world"));
const long = new Uint8Array(5);
new DataView(long.buffer).setUint32(1, LIMITS.requestBytesMax + SLACK + 1);

/** An envelope without a message; some protocols end a stream with it. */
const end = (flags: number): Uint8Array => envelope(new Uint8Array(0), flags);

/** Bodies with one message, by what is special about them. */
function unaryBodies(isUnary: boolean): Record<string, Uint8Array[]> {
  const request = (topic: string) =>
    isUnary ? unaryRequest(topic, text("abc")) : serverStreamRequest(topic, 3);
  return {
    fine: [request("")],
    fields: [request("fields")],
    "an error": [request("refuse")],
    "an error with fields": [request("fields refuse")],
    "the handler's own error": [request("own")],
    "the handler's own error with fields": [request("fields own")],
    "the handler's own error with details": [request("detailed")],
    "an error after messages": [request("late refuse")],
    "an own error after messages": [request("late own")],
    "a defect": [request("defect")],
    "no message at all": [text("\xff\xff")],
    "an empty message": [new Uint8Array(0)],
    "half a message": [request("").subarray(0, -2)],
  };
}

function unaryEnvelopes(isUnary: boolean): Record<string, Uint8Array[]> {
  const request = isUnary ? whole : serverStreamRequest("", 1);
  const found: Record<string, Uint8Array[]> = {
    nothing: [],
    "half a header": [Uint8Array.of(0, 0, 0)],
    "half an envelope": [envelope(request).subarray(0, -1)],
    "two messages": [envelope(request), envelope(request)],
    "two messages in one piece": [concat([envelope(request), envelope(request)])],
    "a compressed message": [envelope(request, 1)],
    "a message with odd flags": [envelope(request, 0x80)],
    "a message that ends": [envelope(request, 2)],
    "an end of Connect behind the message": [envelope(request), end(2)],
    "an end of gRPC-Web behind the message": [concat([envelope(request), end(0x80)])],
    "an end before the message": [end(0x80), envelope(request)],
    "a message behind the end": [envelope(request), end(2), envelope(request)],
    "half an end behind the message": [envelope(request), end(2).subarray(0, 3)],
    "a stray byte behind the message": [concat([envelope(request), Uint8Array.of(0)])],
    "stray bytes behind the message": [envelope(request), Uint8Array.of(0, 0), Uint8Array.of(0)],
    "half an envelope behind the message": [envelope(request), envelope(request).subarray(0, -1)],
    "a message too long": [envelope(new Uint8Array(LIMITS.requestBytesMax + SLACK + 1))],
  };
  for (const [name, pieces] of Object.entries(unaryBodies(isUnary))) {
    found[name] = pieces.map((piece) => envelope(piece));
  }
  return found;
}

function bidiBodies(): Record<string, Uint8Array[]> {
  const one = envelope(bidiRequest("", text("abc")));
  return {
    nothing: [],
    fine: [one],
    many: [one, concat([one, one]), one],
    "split oddly": [one.subarray(0, 3), one.subarray(3, 9), concat([one.subarray(9), one])],
    "an end of the client": [one, envelope(text("{}"), 2)],
    "half a header at the end": [one, Uint8Array.of(0, 0)],
    "half an envelope at the end": [one, one.subarray(0, -1)],
    "a compressed message": [one, envelope(bidiRequest(""), 1)],
    "a message too long": [long],
    "no message": [one, envelope(text("\xff"))],
    fields: [envelope(bidiRequest("fields")), one],
    "an error": [one, envelope(bidiRequest("refuse"))],
    "an error at once": [envelope(bidiRequest("refuse"))],
    "an error with fields": [envelope(bidiRequest("fields refuse"))],
    "the handler's own error": [one, envelope(bidiRequest("own"))],
    "the handler's own error with details": [envelope(bidiRequest("detailed"))],
  };
}

/** Ids of internal errors count up, and in the details they are encoded. */
function withoutIds(answer: WireAnswer): WireAnswer {
  const { status, fields, body } = answer;
  const plain = JSON.stringify({ fields, body });
  if (!/internal|"grpc-status":"13"|grpc-status: 13/.test(plain)) return answer;
  const code = String(fields["grpc-status"] ?? /grpc-status: (\d+)/.exec(body)?.[1] ?? "");
  const message = /(?:grpc-message(?:: |":"))([^"\r]*)/.exec(plain)?.[1] ?? "";
  return { status, fields: { code }, body: message };
}

async function compare(
  t: Parameters<typeof connect2>[0],
  form: Form,
  calls: readonly (readonly [string, WireCall])[],
): Promise<void> {
  const logger = new MemoryLogger();
  const lean = await serveBothWays(t, { limits: LIMITS, logger });
  const library = await serveBothWays(t, { limits: LIMITS, logger, lean: false });
  const sessions = form.isHttp2
    ? [await connect2(t, lean.port), await connect2(t, library.port)]
    : [];
  const ask = (server: 0 | 1, call: WireCall) => {
    const session = sessions[server];
    if (session !== undefined) return call2(session, call);
    return call1(server === 0 ? lean.port : library.port, call);
  };
  for (const [name, call] of calls) {
    const [one, other] = await Promise.all([ask(0, call), ask(1, call)]);
    assert.deepEqual(withoutIds(one), withoutIds(other), `${call.path} with ${name}`);
    assert.ok(one.status > 0, name);
  }
  assert.equal(lean.counts.library, 0);
  assert.equal(library.counts.lean, 0);
  assert.ok(lean.counts.lean > 0);
  assert.ok(logger.lines.every(({ level, cause }) => level === "debug" || cause !== undefined));
}

for (const form of FORMS) {
  test(`unary calls are answered alike (${form.name})`, async (t) => {
    const bodies = form.hasEnvelopes ? unaryEnvelopes(true) : unaryBodies(true);
    const headers = { "x-sent": "from afar" };
    const calls = Object.entries(bodies).map(
      ([name, pieces]) => [name, { path: UNARY, type: form.unary, pieces, headers }] as const,
    );
    await compare(t, form, calls);
  });

  test(`streams of answers are answered alike (${form.name})`, async (t) => {
    const headers = { "x-sent": "from afar" };
    const calls = Object.entries(unaryEnvelopes(false)).map(
      ([name, pieces]) =>
        [name, { path: SERVER_STREAM, type: form.streaming, pieces, headers }] as const,
    );
    await compare(t, form, calls);
  });

  test(`bad time-outs are answered alike (${form.name})`, async (t) => {
    const [name = ""] = Object.keys(form.timeout(1));
    const pieces = form.hasEnvelopes ? [envelope(whole)] : [whole];
    const calls = ["", "x", "-1", "1.5", "123456789012", "12345S", "0"].map((value) => {
      const call = { path: UNARY, type: form.unary, pieces, headers: { [name]: value } };
      return [`a time-out of "${value}"`, call] as const;
    });
    const fine = { path: UNARY, type: form.unary, pieces };
    await compare(t, form, [...calls, ["none", fine]]);
  });

  if (form.isHttp2) {
    test(`streams both ways are answered alike (${form.name})`, async (t) => {
      const calls = Object.entries(bidiBodies()).map(
        ([name, pieces]) => [name, { path: BIDI, type: form.streaming, pieces }] as const,
      );
      await compare(t, form, calls);
    });
  }
}
