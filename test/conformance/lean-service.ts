import { create, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import type { GenMessage } from "@bufbuild/protobuf/codegenv2";
import { Code, ConnectError } from "@connectrpc/connect";
import type { LeanCall } from "../../src/rpc/lean/lean-call.ts";
import type { Encoded, LeanMethod, LeanOutput, Messages } from "../../src/rpc/lean/lean-method.ts";
import type { Protos, Response } from "./messages.ts";
import type { ConformanceCall, ConformanceHandlers, ResponseInit } from "./service.ts";

/** The service for the lean path, which has no client streaming. */
export class LeanService {
  readonly #handlers: ConformanceHandlers;
  readonly #protos: Protos;
  #callCount = 0;

  constructor(handlers: ConformanceHandlers, protos: Protos) {
    this.#handlers = handlers;
    this.#protos = protos;
  }

  /** Calls that came this way. */
  get callCount(): number {
    return this.#callCount;
  }

  methods(): Readonly<Record<string, LeanMethod>> {
    const handlers = this.#handlers;
    const protos = this.#protos;
    const encodeUnary = encoder(protos.message<Response>("UnaryResponse"));
    const encodeIdempotent = encoder(protos.message<Response>("IdempotentUnaryResponse"));
    const encodeServer = encoder(protos.message<Response>("ServerStreamResponse"));
    const encodeBidi = encoder(protos.message<Response>("BidiStreamResponse"));
    return {
      unary: {
        kind: "unary",
        answer: async (body, lean) => {
          const request = decode(protos.unaryRequest, body);
          return encodeUnary(await handlers.unary(request, this.#begin(lean)));
        },
      },
      idempotentUnary: {
        kind: "unary",
        answer: async (body, lean) => {
          const request = decode(protos.idempotentUnaryRequest, body);
          return encodeIdempotent(await handlers.idempotentUnary(request, this.#begin(lean)));
        },
      },
      serverStream: {
        kind: "server_streaming",
        run: async (body, output, lean) => {
          const request = decode(protos.serverStreamRequest, body);
          await send(handlers.serverStream(request, this.#begin(lean)), encodeServer, output);
        },
      },
      bidiStream: {
        kind: "bidi_streaming",
        run: async (input, output, lean) => {
          const requests = decodeAll(protos.bidiStreamRequest, input);
          await send(handlers.bidiStream(requests, this.#begin(lean)), encodeBidi, output);
        },
      },
    };
  }

  /** Asks for nothing before a method does: what nobody asks for takes a shorter way out. */
  #begin(lean: LeanCall): ConformanceCall {
    this.#callCount += 1;
    const { deadlineMs } = lean.call;
    return {
      get requestHeader() {
        return lean.requestHeader;
      },
      get responseHeader() {
        return lean.responseHeader;
      },
      get responseTrailer() {
        return lean.responseTrailer;
      },
      deadlineMs,
      query: undefined,
      get signal() {
        return lean.call.signal;
      },
    };
  }
}

function decode<M extends Message>(desc: GenMessage<M>, body: Uint8Array): M {
  try {
    return fromBinary(desc, body) as M;
  } catch (cause) {
    throw new ConnectError(`parse binary: ${cause}`, Code.InvalidArgument);
  }
}

async function* decodeAll<M extends Message>(
  desc: GenMessage<M>,
  input: AsyncIterable<Messages>,
): AsyncGenerator<M> {
  for await (const bodies of input) for (const body of bodies) yield decode(desc, body);
}

function encoder(desc: GenMessage<Response>): (init: ResponseInit) => Encoded {
  return (init) => {
    const bytes = toBinary(desc, create(desc, init));
    return { parts: [bytes], byteLength: bytes.byteLength };
  };
}

async function send(
  responses: AsyncIterable<ResponseInit>,
  encode: (init: ResponseInit) => Encoded,
  output: LeanOutput,
): Promise<void> {
  for await (const response of responses) {
    if (!output.write(encode(response))) await output.whenRoom();
  }
}
