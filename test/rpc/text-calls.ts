import assert from "node:assert/strict";
import http from "node:http";
import type { TestContext } from "node:test";
import type { Code, ConnectError } from "@connectrpc/connect";
import { findTrailerError } from "@connectrpc/connect/protocol-grpc";
import { trailerParse } from "@connectrpc/connect/protocol-grpc-web";
import { concat } from "../../src/base/bytes.ts";
import { infoOf } from "./api.ts";
import { connect2 } from "./ports.ts";
import { envelope, produceRequest } from "./raw-calls.ts";

/** gRPC-Web as text, by hand. */
export const TEXT_TYPE = "application/grpc-web-text";

export const ANSWER_TYPE = "application/grpc-web-text+proto";

export const PRODUCE = "/proglog.v1.LogService/Produce";
export const CONSUME = "/proglog.v1.LogService/Consume";
export const CONSUME_STREAM = "/proglog.v1.LogService/ConsumeStream";
export const PRODUCE_STREAM = "/proglog.v1.LogService/ProduceStream";

/** Of the value of {@link produceText} by itself. */
export const RECORD_BYTES = 40;

export type HttpVersion = "HTTP/1.1" | "HTTP/2";

export const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");

/** A Produce of one record, as text. */
export function produceText(valueBytes = RECORD_BYTES): string {
  return base64(envelope(produceRequest(valueBytes)));
}

/** The bytes of a text whose groups of four may each end with padding. */
export function decodeGroups(encoded: string): Uint8Array {
  assert.equal(encoded.length % 4, 0, `no whole groups: ${encoded.slice(-40)}`);
  const groups = encoded.match(/[\s\S]{4}/g) ?? [];
  for (const group of groups) assert.match(group, /^[\w+/]{2}(?:[\w+/]{2}|[\w+/]=|==)$/);
  return concat(groups.map((group) => Buffer.from(group, "base64")));
}

export interface Frame {
  readonly flags: number;
  readonly content: Uint8Array;
}

export function framesOf(bytes: Uint8Array): Frame[] {
  const frames: Frame[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < bytes.length; ) {
    const end = at + 5 + view.getUint32(at + 1);
    assert.ok(end <= bytes.length, "a frame is cut off");
    frames.push({ flags: bytes[at] ?? 0, content: bytes.subarray(at + 5, end) });
    at = end;
  }
  return frames;
}

export interface TextAnswer {
  readonly type: string | undefined;
  readonly messages: readonly Uint8Array[];
  readonly error: ConnectError | undefined;
}

export interface TextCall {
  readonly path: string;
  /** Each is sent by itself. */
  readonly pieces: readonly string[];
  readonly headers?: http.OutgoingHttpHeaders;
}

/** A call whose text is looked at as it comes. */
export interface OpenCall {
  readonly body: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly ended: Promise<TextAnswer>;
}

export async function openText(
  t: TestContext,
  port: number,
  version: HttpVersion,
  { path, pieces, headers }: TextCall,
): Promise<OpenCall> {
  const fields = { "content-type": TEXT_TYPE, ...headers };
  if (version === "HTTP/2") {
    const session = await connect2(t, port);
    const stream = session.request({ ":method": "POST", ":path": path, ...fields });
    const answered = new Promise<Answered>((resolve, reject) => {
      stream.on("response", (found) => resolve({ headers: found, from: stream }));
      stream.on("error", reject);
    });
    sendPieces(stream, pieces);
    const open = gather(answered);
    open.ended.finally(() => session.destroy()).catch(() => {});
    return open;
  }
  const options = { host: "127.0.0.1", port, path, method: "POST", agent: false };
  const sent = http.request({ ...options, headers: fields });
  const answered = new Promise<Answered>((resolve, reject) => {
    sent.on("response", (found) => resolve({ headers: found.headers, from: found }));
    sent.on("error", reject);
  });
  sent.setNoDelay(true);
  sendPieces(sent, pieces);
  return gather(answered);
}

/** Calls, and waits for the end. */
export async function callText(
  t: TestContext,
  port: number,
  version: HttpVersion,
  call: TextCall,
): Promise<TextAnswer> {
  return (await openText(t, port, version, call)).ended;
}

interface Answered {
  readonly headers: http.IncomingHttpHeaders;
  readonly from: NodeJS.ReadableStream;
}

function gather(answered: Promise<Answered>): OpenCall {
  const open = { body: "", headers: {} as http.IncomingHttpHeaders };
  const read = async (): Promise<TextAnswer> => {
    const { headers, from } = await answered;
    open.headers = headers;
    from.setEncoding("latin1");
    for await (const chunk of from) open.body += chunk;
    return answerOf(open.headers, open.body);
  };
  return Object.assign(open, { ended: read() });
}

function answerOf(headers: http.IncomingHttpHeaders, body: string): TextAnswer {
  const frames = framesOf(decodeGroups(body));
  const last = frames.at(-1);
  assert.ok(last !== undefined && last.flags === 0x80, "the trailer is the last frame");
  return {
    type: headers["content-type"],
    messages: frames.slice(0, -1).map(({ content }) => content),
    error: findTrailerError(trailerParse(last.content)),
  };
}

/** Each with a pause after it, so that they arrive one by one. */
function sendPieces(to: NodeJS.WritableStream, pieces: readonly string[]): void {
  const [first, ...others] = pieces;
  if (first === undefined) {
    to.end();
    return;
  }
  to.write(first, "latin1", () => setTimeout(() => sendPieces(to, others), 1));
}

/** Checks why a call failed. @returns the metadata */
export function assertReason({ type, error }: TextAnswer, reason: string, code: Code) {
  assert.equal(type, ANSWER_TYPE);
  assert.ok(error, "the call succeeded");
  const info = infoOf(error);
  assert.equal(info.reason, reason, error.message);
  assert.equal(error.code, code);
  return info.metadata;
}
