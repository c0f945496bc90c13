import { create, type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { concat } from "../../../src/base/bytes.ts";
import {
  ConsumeRequestSchema,
  ConsumeStreamRequestSchema,
  ProduceRequestSchema,
  ProduceStreamRequestSchema,
} from "../../../src/gen/proglog/v1/log_service_pb.ts";
import { envelope } from "../../rpc/raw-calls.ts";
import {
  continuation,
  data,
  fields,
  goaway,
  headers,
  PREFACE,
  ping,
  rstStream,
  settings,
  settingsAck,
  windowUpdate,
} from "./http2-bytes.ts";

/** What a client sends on one connection, from its first byte on. */
export interface Script {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** True when its answer is whole and always the same. */
  readonly isAnswered: boolean;
}

const LOG_SERVICE = "/proglog.v1.LogService";

function encode<D extends DescMessage>(desc: D, init: MessageInitShape<D>): Uint8Array {
  return toBinary(desc, create(desc, init));
}

const batch = {
  topic: "default",
  records: [{ value: Buffer.from("fuzz") }, { value: new Uint8Array(300) }],
};
const produce = encode(ProduceRequestSchema, batch);
const produceStream = encode(ProduceStreamRequestSchema, { batches: [batch, batch] });
const consume = encode(ConsumeRequestSchema, { topic: "default", maxRecords: 2 });
const wait = encode(ConsumeRequestSchema, {
  topic: "default",
  start: { case: "offset", value: 1_000_000n },
  wait: { seconds: 30n, nanos: 0 },
});
const tail = encode(ConsumeStreamRequestSchema, { topic: "default" });
const json = Buffer.from('{"topic":"default","records":[{"value":"ZnV6eg=="}]}');

function http1(
  first: string,
  fields: Readonly<Record<string, string>>,
  body: Uint8Array = new Uint8Array(0),
) {
  const lines = Object.entries({ host: "x", ...fields }).map(
    ([name, value]) => `${name}: ${value}`,
  );
  return concat([Buffer.from(`${[`${first} HTTP/1.1`, ...lines].join("\r\n")}\r\n\r\n`), body]);
}

function post(method: string, type: string, body: Uint8Array): Uint8Array {
  const length = { "content-type": type, "content-length": `${body.length}` };
  return http1(`POST ${LOG_SERVICE}/${method}`, length, body);
}

function chunked(body: Uint8Array): Uint8Array {
  const half = body.length >>> 1;
  const chunk = (part: Uint8Array) =>
    concat([Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from("\r\n")]);
  return http1(
    `POST ${LOG_SERVICE}/Produce`,
    { "content-type": "application/json", "transfer-encoding": "chunked" },
    concat([chunk(body.subarray(0, half)), chunk(body.subarray(half)), Buffer.from("0\r\n\r\n")]),
  );
}

function block(method: string, type = "application/grpc", more = {}): Uint8Array {
  return fields({
    ":method": "POST",
    ":scheme": "http",
    ":path": `${LOG_SERVICE}/${method}`,
    ":authority": "x",
    "content-type": type,
    te: "trailers",
    ...more,
  });
}

function http2(...frames: readonly Uint8Array[]): Uint8Array {
  return concat([PREFACE, settings([3, 100], [4, 1 << 20]), settingsAck(), ...frames]);
}

const CALL = [headers(1, block("Consume")), data(1, envelope(consume), true)] as const;

const answered = (name: string, bytes: Uint8Array): Script => ({ name, bytes, isAnswered: true });
const open = (name: string, bytes: Uint8Array): Script => ({ name, bytes, isAnswered: false });

/** Every way into the server, by hand: what clients send, byte for byte. */
export const SCRIPTS: readonly Script[] = [
  answered("HTTP/1.1 probe", http1("GET /livez", {})),
  answered("HTTP/1.1 unary JSON", post("Consume", "application/json", Buffer.from("{}"))),
  answered("HTTP/1.1 unary binary", post("Consume", "application/proto", consume)),
  answered("HTTP/1.1 gRPC-Web", post("Consume", "application/grpc-web+proto", envelope(consume))),
  answered(
    "HTTP/1.1 pipelined",
    concat([http1("GET /livez", {}), post("Consume", "application/proto", consume)]),
  ),
  answered(
    "HTTP/1.1 GET of Connect",
    http1(`GET ${LOG_SERVICE}/Consume?connect=v1&encoding=json&message=%7B%7D`, {}),
  ),
  open("HTTP/1.1 produce", post("Produce", "application/proto", produce)),
  open("HTTP/1.1 produce JSON", post("Produce", "application/json", json)),
  open("HTTP/1.1 chunked", chunked(json)),
  open("HTTP/1.1 tail", post("ConsumeStream", "application/connect+proto", envelope(tail))),
  open(
    "HTTP/1.1 produce gRPC-Web",
    post("Produce", "application/grpc-web+proto", envelope(produce)),
  ),
  answered("gRPC unary", http2(...CALL)),
  answered(
    "gRPC with a header in three frames",
    http2(
      headers(1, block("Consume").subarray(0, 20), { endHeaders: false }),
      continuation(1, block("Consume").subarray(20, 60), false),
      continuation(1, block("Consume").subarray(60), true),
      data(1, envelope(consume).subarray(0, 3)),
      data(1, envelope(consume).subarray(3), true),
    ),
  ),
  answered(
    "Connect unary over HTTP/2",
    http2(headers(1, block("Consume", "application/proto")), data(1, consume, true)),
  ),
  answered("gRPC with a ping before it", http2(ping(), windowUpdate(0, 1 << 20), ...CALL)),
  open("gRPC produce", http2(headers(1, block("Produce")), data(1, envelope(produce), true))),
  open(
    "gRPC stream of batches",
    http2(
      headers(1, block("ProduceStream")),
      data(1, concat([envelope(produceStream), envelope(produceStream)])),
      data(1, envelope(produceStream), true),
    ),
  ),
  open(
    "gRPC tail and unary calls beside it",
    http2(
      headers(1, block("ConsumeStream")),
      data(1, envelope(tail), true),
      windowUpdate(1, 100_000),
      headers(3, block("Produce", "application/grpc", { "grpc-timeout": "5S" })),
      headers(5, block("ProduceStream")),
      data(5, envelope(produceStream)),
      data(3, envelope(produce), true),
      ping(),
      rstStream(5),
    ),
  ),
  open(
    "gRPC long poll, given up",
    http2(headers(1, block("Consume")), data(1, envelope(wait), true), rstStream(1), goaway()),
  ),
  open(
    "gRPC stream in JSON over HTTP/2",
    http2(
      headers(1, block("ProduceStream", "application/grpc+json")),
      data(1, envelope(Buffer.from(`{"batches":[${json}]}`)), true),
    ),
  ),
];
