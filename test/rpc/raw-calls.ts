import assert from "node:assert/strict";
import type { OutgoingHttpHeaders } from "node:http";
import type { TestContext } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { type Code, ConnectError } from "@connectrpc/connect";
import { errorFromJson, errorFromJsonBytes } from "@connectrpc/connect/protocol-connect";
import { findTrailerError } from "@connectrpc/connect/protocol-grpc";
import { trailerParse } from "@connectrpc/connect/protocol-grpc-web";
import { concat } from "../../src/base/bytes.ts";
import { ProduceRequestSchema } from "../../src/gen/proglog/v1/log_service_pb.ts";
import { infoOf } from "./api.ts";
import { connect2 } from "./ports.ts";

/** A protocol by hand, for what no client would send. */
export interface RawProtocol {
  readonly name: string;
  /** Media type of unary calls, and of streaming ones. */
  readonly unary: string;
  readonly streaming: string;
  /** True when messages stand in envelopes, in unary calls too. */
  readonly hasEnvelopes: boolean;
  readonly encodingHeader: string;
  readonly timeoutHeader: string;
}

const grpc = (name: string, type: string): RawProtocol => ({
  name,
  unary: type,
  streaming: type,
  hasEnvelopes: true,
  encodingHeader: "grpc-encoding",
  timeoutHeader: "grpc-timeout",
});

export const RAW_PROTOCOLS: readonly RawProtocol[] = [
  {
    name: "Connect",
    unary: "application/proto",
    streaming: "application/connect+proto",
    hasEnvelopes: false,
    encodingHeader: "content-encoding",
    timeoutHeader: "connect-timeout-ms",
  },
  grpc("gRPC", "application/grpc"),
  grpc("gRPC with +proto", "application/grpc+proto"),
  grpc("gRPC-Web", "application/grpc-web+proto"),
];

export function envelope(message: Uint8Array, flags = 0): Uint8Array {
  const header = new Uint8Array(5);
  header[0] = flags;
  new DataView(header.buffer).setUint32(1, message.length);
  return concat([header, message]);
}

export interface RawAnswer {
  readonly httpStatus: number;
  /** Undefined when the call succeeded. */
  readonly error: ConnectError | undefined;
  readonly body: Uint8Array;
}

/** Sends `body` as it is, over HTTP/2. */
export async function callRaw(
  t: TestContext,
  port: number,
  call: {
    readonly path: string;
    readonly type: string;
    readonly body: Uint8Array;
    readonly headers?: OutgoingHttpHeaders;
  },
): Promise<RawAnswer> {
  const session = await connect2(t, port);
  const stream = session.request({
    ":method": "POST",
    ":path": call.path,
    "content-type": call.type,
    te: "trailers",
    ...call.headers,
  });
  const chunks: Buffer[] = [];
  let headers = new Headers();
  let trailers = new Headers();
  stream.on("response", (found) => {
    headers = toHeaders(found);
  });
  stream.on("trailers", (found) => {
    trailers = toHeaders(found);
  });
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  stream.on("error", () => {});
  stream.end(call.body);
  await new Promise((resolve) => stream.once("close", resolve));
  session.destroy();
  const body = Buffer.concat(chunks);
  return {
    httpStatus: Number(headers.get("x-status") ?? 0),
    error: errorOf(call.type, headers, trailers, body),
    body,
  };
}

function toHeaders(found: Readonly<Record<string, string | string[] | number | undefined>>) {
  const headers = new Headers();
  for (const [name, value] of Object.entries(found)) {
    if (value === undefined) continue;
    headers.set(name === ":status" ? "x-status" : name, String(value));
  }
  return headers;
}

function errorOf(
  type: string,
  headers: Headers,
  trailers: Headers,
  body: Uint8Array,
): ConnectError | undefined {
  if (type.startsWith("application/grpc-web")) {
    const trailer = lastEnvelope(body, 0x80);
    return findTrailerError(trailer === undefined ? headers : trailerParse(trailer));
  }
  if (type.startsWith("application/grpc")) {
    return findTrailerError(trailers) ?? findTrailerError(headers);
  }
  if (type.startsWith("application/connect+")) {
    const end = JSON.parse(new TextDecoder().decode(lastEnvelope(body, 2))) as { error?: never };
    if (end.error === undefined) return undefined;
    return errorFromJson(end.error, undefined, new ConnectError("unreadable"));
  }
  if (headers.get("x-status") === "200") return undefined;
  return errorFromJsonBytes(body, undefined, new ConnectError("unreadable"));
}

/** Content of the envelope with the flag `flag`, which is the last one. */
function lastEnvelope(body: Uint8Array, flag: number): Uint8Array | undefined {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  for (let at = 0; at + 5 <= body.length; at += 5 + view.getUint32(at + 1)) {
    if (((body[at] ?? 0) & flag) !== 0) return body.subarray(at + 5);
  }
  return undefined;
}

/** Checks why a call failed. @returns the metadata */
export function assertReason(
  answer: RawAnswer,
  reason: string,
  code: Code,
): Record<string, string> {
  assert.ok(answer.error, "the call succeeded");
  const info = infoOf(answer.error);
  assert.equal(info.reason, reason, answer.error.message);
  assert.equal(answer.error.code, code);
  return info.metadata;
}

/** A Produce of one record. */
export function produceRequest(valueBytes: number): Uint8Array {
  const records = [{ value: new Uint8Array(valueBytes) }];
  return toBinary(
    ProduceRequestSchema,
    create(ProduceRequestSchema, { topic: "default", records }),
  );
}
