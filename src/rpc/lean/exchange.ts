import type { JsonWriteOptions } from "@bufbuild/protobuf";
import type { ConnectError } from "@connectrpc/connect";
import { mergeNonProtocolHeaders } from "@connectrpc/connect/protocol";
import {
  codeToHttpStatus,
  endStreamFlag,
  endStreamToJson,
  errorToJsonBytes,
} from "@connectrpc/connect/protocol-connect";
import { trailerFlag, trailerSerialize } from "@connectrpc/connect/protocol-grpc-web";
import type { Call } from "../call.ts";
import { setStatus } from "../grpc-message.ts";
import type { Dialect } from "./dialect.ts";
import { bytesOf, envelopeOf, piecesOf } from "./envelope.ts";
import { putFields, toRequestHeader } from "./fields.ts";
import type { LeanCall } from "./lean-call.ts";
import type { Encoded } from "./lean-method.ts";
import type { Fields, Sink } from "./sink.ts";

export interface ExchangeOptions {
  readonly call: Call;
  readonly dialect: Dialect;
  readonly sink: Sink;
  /** Fields that every answer on this way has, such as those of CORS. */
  readonly fields: Fields | undefined;
  /** How errors are written in JSON. */
  readonly jsonOptions: Partial<JsonWriteOptions>;
}

const encoder = new TextEncoder();
const GRPC_OK = { "grpc-status": "0" } as const;
const WEB_OK = envelopeOf(trailerFlag, encoder.encode("grpc-status: 0\r\n"));
const CONNECT_OK = envelopeOf(endStreamFlag, encoder.encode("{}"));

/** The answer of one call: header, messages, end; each once, and nothing after the end. */
export class Exchange implements LeanCall {
  readonly call: Call;
  readonly dialect: Dialect;
  readonly sink: Sink;
  readonly #fields: Fields | undefined;
  readonly #jsonOptions: Partial<JsonWriteOptions>;
  #requestHeader: Headers | undefined;
  #responseHeader: Headers | undefined;
  #responseTrailer: Headers | undefined;
  #hasBegun = false;
  #hasEnded = false;

  constructor({ call, dialect, sink, fields, jsonOptions }: ExchangeOptions) {
    this.call = call;
    this.dialect = dialect;
    this.sink = sink;
    this.#fields = fields;
    this.#jsonOptions = jsonOptions;
  }

  get requestHeader(): Headers {
    this.#requestHeader ??= toRequestHeader(this.call.headers);
    return this.#requestHeader;
  }

  get responseHeader(): Headers {
    this.#responseHeader ??= new Headers();
    return this.#responseHeader;
  }

  get responseTrailer(): Headers {
    this.#responseTrailer ??= new Headers();
    return this.#responseTrailer;
  }

  /** True when there is nothing to write any more. */
  get isOver(): boolean {
    return this.#hasEnded || this.call.isOver || !this.sink.isOpen;
  }

  /** The whole answer of a unary call. */
  succeed(message: Encoded): void {
    if (this.isOver) return;
    this.#end();
    if (!this.dialect.hasEnvelopes) {
      const bytes = bytesOf(message);
      const fields = this.#header();
      putFields(fields, this.#responseTrailer, "trailer-");
      fields["content-length"] = bytes.length;
      this.sink.begin(200, fields, false);
      this.sink.end(bytes);
      return;
    }
    const isWeb = this.dialect.protocol === "grpc-web";
    const trailer = isWeb ? this.#ending(undefined) : undefined;
    const pieces = piecesOf([message], message.byteLength, trailer);
    this.#begin();
    const last = pieces.pop();
    for (const piece of pieces) this.sink.write(piece);
    this.sink.end(last, isWeb ? undefined : this.#trailers(undefined));
  }

  /** Sends the header of a stream's answer, unless it is out. */
  begin(): void {
    if (!this.#hasBegun) this.#begin();
  }

  /** Ends the answer, with an error or without. A unary call without an error ends by {@link succeed}. */
  finish(error: ConnectError | undefined): void {
    if (this.isOver) return;
    this.#end();
    const { protocol } = this.dialect;
    if (error !== undefined && !this.dialect.hasEnvelopes) {
      this.#failUnary(error);
    } else if (protocol === "grpc") {
      const trailers = this.#trailers(error);
      if (error !== undefined && !this.#hasBegun && this.#responseHeader === undefined) {
        this.sink.only(200, { ...this.#header(), ...trailers });
        return;
      }
      this.begin();
      this.sink.end(undefined, trailers);
    } else {
      const ending = this.#ending(error);
      this.begin();
      this.sink.end(ending);
    }
  }

  #end(): void {
    this.#hasEnded = true;
    this.call.answered();
  }

  #begin(): void {
    this.#hasBegun = true;
    this.sink.begin(200, this.#header(), this.dialect.protocol === "grpc");
  }

  #header(): Fields {
    const fields: Fields = { "content-type": this.dialect.contentType };
    if (this.#fields !== undefined) Object.assign(fields, this.#fields);
    putFields(fields, this.#responseHeader, "");
    return fields;
  }

  /** Connect tells the error of a unary call by status and JSON. */
  #failUnary(error: ConnectError): void {
    const bytes = errorToJsonBytes(error, this.#jsonOptions);
    const header = new Headers(this.#responseHeader);
    mergeNonProtocolHeaders(header, error.metadata);
    const fields: Fields = {};
    if (this.#fields !== undefined) Object.assign(fields, this.#fields);
    putFields(fields, header, "");
    putFields(fields, this.#responseTrailer, "trailer-");
    fields["content-type"] = "application/json";
    fields["content-length"] = bytes.length;
    this.sink.begin(codeToHttpStatus(error.code), fields, false);
    this.sink.end(bytes);
  }

  /** How gRPC ends. */
  #trailers(error: ConnectError | undefined): Fields {
    if (error === undefined && this.#responseTrailer === undefined) return { ...GRPC_OK };
    const fields: Fields = {};
    putFields(fields, this.#status(error), "");
    return fields;
  }

  /** How the answers end that have their ending in the body. */
  #ending(error: ConnectError | undefined): Uint8Array {
    const isPlain = error === undefined && this.#responseTrailer === undefined;
    if (this.dialect.protocol === "grpc-web") {
      return isPlain ? WEB_OK : envelopeOf(trailerFlag, trailerSerialize(this.#status(error)));
    }
    if (isPlain) return CONNECT_OK;
    const end = endStreamToJson(new Headers(this.#responseTrailer), error, this.#jsonOptions);
    return envelopeOf(endStreamFlag, encoder.encode(JSON.stringify(end)));
  }

  #status(error: ConnectError | undefined): Headers {
    const trailer = new Headers({ ...GRPC_OK });
    this.#responseTrailer?.forEach((value, name) => {
      trailer.append(name, value);
    });
    return error === undefined ? trailer : setStatus(trailer, error);
  }
}
