import { create, toBinary } from "@bufbuild/protobuf";
import { concat } from "../../../src/base/bytes.ts";
import { ProduceStreamRequestSchema } from "../../../src/gen/proglog/v1/log_service_pb.ts";
import { envelope } from "../../rpc/raw-calls.ts";
import * as h2 from "./http2-bytes.ts";

/** A client that never stops: what it says first, and what it then says for ever. */
export interface Flood {
  readonly name: string;
  readonly first: Uint8Array;
  /** The `index`-th piece of what follows. */
  next(index: number): Uint8Array;
  /** True when the server must not bear it: it has to close the connection. */
  readonly isClosed?: boolean;
}

const PIECE_BYTES = 64 * 1024;

const text = (value: string): Uint8Array => Buffer.from(value, "latin1");
const zeros = new Uint8Array(PIECE_BYTES).fill(0x61);

/** Something small, as often as fits a piece. */
function manyOf(bytes: Uint8Array): Uint8Array {
  return concat(Array<Uint8Array>(Math.ceil(PIECE_BYTES / bytes.length)).fill(bytes));
}

function always(name: string, first: Uint8Array, piece: Uint8Array): Flood {
  return { name, first, next: () => piece };
}

function closed(name: string, first: Uint8Array, piece: Uint8Array): Flood {
  return { ...always(name, first, piece), isClosed: true };
}

const http1 = (head: string): Uint8Array => text(head.replaceAll("\n", "\r\n"));
const CHUNKED = `POST /proglog.v1.LogService/Produce HTTP/1.1
host: x
content-type: application/proto
transfer-encoding: chunked

`;

const HTTP1_FLOODS: readonly Flood[] = [
  closed("a header line without end", http1("GET / HTTP/1.1\nx: "), zeros),
  closed("header lines without end", http1("GET / HTTP/1.1\n"), manyOf(text("x-a: b\r\n"))),
  closed("an address without end", text("GET /"), zeros),
  always("a body without end", http1(CHUNKED), concat([text("10000\r\n"), zeros, text("\r\n")])),
  closed("a chunk's extension without end", http1(`${CHUNKED}1;`), zeros),
  closed("trailers without end", http1(`${CHUNKED}0\n`), manyOf(text("x-a: b\r\n"))),
  closed("calls without end", text(""), manyOf(http1("GET /livez HTTP/1.1\nhost: x\n\n"))),
  closed("a TLS hello on a plaintext port", text("\x16\x03\x01\xff\xff"), zeros),
];

const block = (method: string): Uint8Array =>
  h2.fields({
    ":method": "POST",
    ":scheme": "http",
    ":path": `/proglog.v1.LogService/${method}`,
    ":authority": "x",
    "content-type": "application/grpc",
    te: "trailers",
  });
const PRODUCE = block("Produce");

function http2(...frames: readonly Uint8Array[]): Uint8Array {
  return concat([h2.PREFACE, h2.settings(), h2.settingsAck(), ...frames]);
}

/** Streams one after the other, `count` to a piece. */
function streams(count: number, of: (streamId: number) => readonly Uint8Array[]) {
  return (index: number): Uint8Array => {
    const first = index * count;
    return concat(Array.from({ length: count }, (_, at) => of(2 * (first + at) + 1)).flat());
  };
}

const batches = envelope(
  toBinary(
    ProduceStreamRequestSchema,
    create(ProduceStreamRequestSchema, {
      batches: [{ topic: "default", records: [{ value: new Uint8Array(100) }] }],
    }),
  ),
);

const HTTP2_FLOODS: readonly Flood[] = [
  always("PING without end", http2(), manyOf(h2.ping())),
  always("SETTINGS without end", http2(), manyOf(h2.settings([4, 65_535]))),
  always(
    "PRIORITY without end",
    http2(),
    manyOf(h2.frame(h2.FRAME.priority, 0, 1, Buffer.alloc(5))),
  ),
  always("unknown frames without end", http2(), manyOf(h2.frame(0x55, 0, 0, Buffer.alloc(1000)))),
  closed(
    "a header in frames without end",
    http2(h2.headers(1, PRODUCE, { endHeaders: false })),
    manyOf(h2.continuation(1, h2.fields({ "x-a": "b".repeat(1000) }), false)),
  ),
  always(
    "a header in empty frames without end",
    http2(h2.headers(1, PRODUCE, { endHeaders: false })),
    manyOf(h2.continuation(1, new Uint8Array(0), false)),
  ),
  always(
    "empty DATA without end",
    http2(h2.headers(1, PRODUCE)),
    manyOf(h2.data(1, new Uint8Array(0))),
  ),
  always(
    "a message of 4 GiB, whatever the windows say",
    http2(h2.headers(1, PRODUCE), h2.data(1, Uint8Array.of(0, 0xff, 0xff, 0xff, 0xff))),
    manyOf(h2.data(1, zeros.subarray(0, 16_000))),
  ),
  always(
    "messages of a stream whose answers nobody takes, whatever the windows say",
    http2(h2.headers(1, block("ProduceStream"))),
    manyOf(h2.data(1, batches)),
  ),
  {
    name: "calls that are reset at once",
    first: http2(),
    next: streams(200, (id) => [h2.headers(id, PRODUCE), h2.rstStream(id)]),
  },
  {
    name: "calls that are never ended",
    first: http2(),
    next: streams(200, (id) => [h2.headers(id, PRODUCE)]),
  },
  {
    name: "calls whose answers nobody takes",
    first: http2(),
    next: streams(200, (id) => [h2.headers(id, PRODUCE, { endStream: true })]),
  },
  closed("the preface again and again", http2(), manyOf(h2.PREFACE)),
];

export const FLOODS: readonly Flood[] = [
  ...HTTP1_FLOODS.map((flood) => ({ ...flood, name: `HTTP/1.1: ${flood.name}` })),
  ...HTTP2_FLOODS.map((flood) => ({ ...flood, name: `HTTP/2: ${flood.name}` })),
];
