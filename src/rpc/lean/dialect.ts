import type { HttpHeaders } from "../../platform/http-options.ts";
import type { Protocol } from "../call.ts";
import { wantsWebText } from "../web-text.ts";
import type { LeanMethod } from "./lean-method.ts";

/** How a protocol writes calls: binary, uncompressed, and sent with POST. */
export interface Dialect {
  readonly protocol: Protocol;
  /** Media type of its answers. */
  readonly contentType: string;
  /** Where a request says how it is compressed. */
  readonly encodingHeader: string;
  /** Messages stand in envelopes; without them the body is the message. */
  readonly hasEnvelopes: boolean;
  /** A flag of envelopes that hold no message of the client; 0 when there is none. */
  readonly endFlag: number;
  /** What it serves. */
  readonly isFor: "unary" | "streams" | "all";
}

const GRPC: Dialect = {
  protocol: "grpc",
  contentType: "application/grpc+proto",
  encodingHeader: "grpc-encoding",
  hasEnvelopes: true,
  endFlag: 0,
  isFor: "all",
};
const GRPC_WEB: Dialect = {
  ...GRPC,
  protocol: "grpc-web",
  contentType: "application/grpc-web+proto",
  endFlag: 0x80,
};
const CONNECT_UNARY: Dialect = {
  protocol: "connect",
  contentType: "application/proto",
  encodingHeader: "content-encoding",
  hasEnvelopes: false,
  endFlag: 0,
  isFor: "unary",
};
const CONNECT_STREAM: Dialect = {
  protocol: "connect",
  contentType: "application/connect+proto",
  encodingHeader: "connect-content-encoding",
  hasEnvelopes: true,
  endFlag: 0x02,
  isFor: "streams",
};

/** By the media types that the usual clients send, letter for letter. */
const DIALECTS: ReadonlyMap<string | undefined, Dialect> = new Map([
  ["application/grpc", GRPC],
  ["application/grpc+proto", GRPC],
  ["application/grpc-web", GRPC_WEB],
  ["application/grpc-web+proto", GRPC_WEB],
  ["application/proto", CONNECT_UNARY],
  ["application/connect+proto", CONNECT_STREAM],
]);

/** The dialect of a request as the lean path takes it; undefined for all others: the library has them. */
export function dialectOf(
  headers: HttpHeaders,
  kind: LeanMethod["kind"],
  isHttp2: boolean,
): Dialect | undefined {
  const dialect = DIALECTS.get(headers["content-type"]);
  if (dialect === undefined) return undefined;
  const { isFor, encodingHeader, protocol } = dialect;
  if (isFor !== "all" && (isFor === "unary") !== (kind === "unary")) return undefined;
  const isTwoWay = kind === "bidi_streaming" || kind === "duplex";
  if (!isHttp2 && (protocol === "grpc" || isTwoWay)) return undefined;
  if (protocol === "grpc-web" && wantsWebText(headers)) return undefined;
  const encoding = headers[encodingHeader];
  if (encoding !== undefined && encoding !== "identity") return undefined;
  return dialect;
}
