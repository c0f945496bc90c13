import http from "node:http";
import type { ClientHttp2Session, IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http2";
import type { TestContext } from "node:test";
import { connect2 } from "./ports.ts";

/** One of the forms in which the lean path takes calls. */
export interface Form {
  readonly name: string;
  readonly unary: string;
  readonly streaming: string;
  readonly hasEnvelopes: boolean;
  readonly isHttp2: boolean;
  readonly timeout: (ms: number) => Record<string, string>;
  readonly encodingHeader: string;
}

const grpcTimeout = (ms: number) => ({ "grpc-timeout": `${ms}m` });
const CONNECT = {
  unary: "application/proto",
  streaming: "application/connect+proto",
  hasEnvelopes: false,
  timeout: (ms: number) => ({ "connect-timeout-ms": `${ms}` }),
  encodingHeader: "content-encoding",
};
const GRPC_WEB = {
  unary: "application/grpc-web+proto",
  streaming: "application/grpc-web+proto",
  hasEnvelopes: true,
  timeout: grpcTimeout,
  encodingHeader: "grpc-encoding",
};

export const GRPC_FORM: Form = {
  ...GRPC_WEB,
  name: "gRPC",
  unary: "application/grpc",
  streaming: "application/grpc",
  isHttp2: true,
};

export const FORMS: readonly Form[] = [
  GRPC_FORM,
  { ...GRPC_WEB, name: "gRPC-Web HTTP/2", isHttp2: true },
  { ...GRPC_WEB, name: "gRPC-Web HTTP/1.1", isHttp2: false },
  { ...CONNECT, name: "Connect HTTP/2", isHttp2: true },
  { ...CONNECT, name: "Connect HTTP/1.1", isHttp2: false },
];

/** An answer byte for byte, but for what differs from call to call. */
export interface WireAnswer {
  readonly status: number;
  /** Header and trailer of gRPC are one: an error may come in either. */
  readonly fields: Readonly<Record<string, unknown>>;
  readonly body: string;
}

export interface WireCall {
  readonly path: string;
  readonly type: string;
  /** Written one after the other, each in a frame of its own. */
  readonly pieces: readonly Uint8Array[];
  readonly headers?: Record<string, string>;
  /** Keeps the client's side open. */
  readonly isOpen?: boolean;
}

const CHANGING = ["date", "connection", "keep-alive", "transfer-encoding"];

function toAnswer(
  status: number,
  parts: readonly IncomingHttpHeaders[],
  chunks: readonly Uint8Array[],
): WireAnswer {
  const fields: Record<string, unknown> = {};
  for (const part of parts) {
    for (const [name, value] of Object.entries(part)) {
      if (!CHANGING.includes(name) && !name.startsWith(":")) fields[name] = value;
    }
  }
  return {
    status,
    fields: Object.fromEntries(Object.entries(fields).sort(([a], [b]) => (a < b ? -1 : 1))),
    body: Buffer.concat(chunks).toString("latin1"),
  };
}

/** Makes a call on an HTTP/2 connection. */
export function call2(session: ClientHttp2Session, call: WireCall): Promise<WireAnswer> {
  const { path, type, pieces, headers, isOpen = false } = call;
  const fields: OutgoingHttpHeaders = { ":method": "POST", ":path": path, "content-type": type };
  const stream = session.request({ ...fields, te: "trailers", ...headers });
  const parts: IncomingHttpHeaders[] = [];
  const chunks: Buffer[] = [];
  stream.on("response", (found) => parts.push(found));
  stream.on("trailers", (found) => parts.push(found));
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  stream.on("error", () => {});
  for (const piece of pieces) stream.write(piece);
  if (!isOpen) stream.end();
  return new Promise((resolve) => {
    stream.once("end", () => stream.close());
    stream.once("close", () =>
      resolve(toAnswer(Number(parts[0]?.[":status"] ?? 0), parts, chunks)),
    );
  });
}

/** The same on an HTTP/1.1 connection of its own. */
export function call1(port: number, call: WireCall): Promise<WireAnswer> {
  const { path, type, pieces, headers, isOpen = false } = call;
  return new Promise((resolve, reject) => {
    const options = { host: "127.0.0.1", port, path, method: "POST", agent: false } as const;
    const sent = http.request(
      { ...options, headers: { "content-type": type, ...headers } },
      (found) => {
        const chunks: Buffer[] = [];
        found.on("data", (chunk: Buffer) => chunks.push(chunk));
        found.on("error", reject);
        found.on("end", () => {
          sent.destroy();
          resolve(toAnswer(found.statusCode ?? 0, [found.headers], chunks));
        });
      },
    );
    sent.on("error", reject);
    for (const piece of pieces) sent.write(piece);
    if (!isOpen) sent.end();
  });
}

/** Calls by a form, over one connection when it is HTTP/2. */
export async function callerOf(
  t: TestContext,
  port: number,
  form: Form,
): Promise<(call: WireCall) => Promise<WireAnswer>> {
  if (!form.isHttp2) return (call) => call1(port, call);
  const session = await connect2(t, port);
  return (call) => call2(session, call);
}

const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/** A frame of HTTP/2 by hand, for what no client would send. */
export function frame(type: number, flags: number, streamId: number, payload: Uint8Array): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(streamId, 5);
  return Buffer.concat([header, payload]);
}

/** The beginning of an HTTP/2 connection: preface, empty SETTINGS, and the answer to the server's. */
export const FRAMES_HELLO = Buffer.concat([
  Buffer.from(PREFACE),
  frame(4, 0, 0, new Uint8Array(0)),
  frame(4, 1, 0, new Uint8Array(0)),
]);

/** HEADERS of a call; names by their numbers in the static table of HPACK. */
export function callFrame(streamId: number, path: string, type: string): Buffer {
  const field = (name: number[], value: string) =>
    Buffer.concat([Buffer.from([...name, value.length]), Buffer.from(value)]);
  const POST_HTTP = Buffer.from([0x83, 0x86]);
  const fields = [POST_HTTP, field([0x04], path), field([0x01], "x"), field([0x0f, 0x10], type)];
  return frame(1, 4, streamId, Buffer.concat(fields));
}

export const dataFrame = (streamId: number, bytes: Uint8Array, isEnd = false): Buffer =>
  frame(0, isEnd ? 1 : 0, streamId, bytes);

/** RST_STREAM; 0 is NO_ERROR, 8 CANCEL. */
export const resetFrame = (streamId: number, code: number): Buffer =>
  frame(3, 0, streamId, Uint8Array.of(0, 0, 0, code));
