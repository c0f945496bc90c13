import { create, type Message, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import type { GenMessage } from "@bufbuild/protobuf/codegenv2";
import { type Any, anyPack } from "@bufbuild/protobuf/wkt";
import { ConnectError } from "@connectrpc/connect";
import { onAbort } from "../../src/base/abortable.ts";
import type {
  BidiStreamRequest,
  ErrorDefinition,
  Header,
  Protos,
  RequestInfo,
  Response,
  ServerStreamRequest,
  StreamDefinition,
  UnaryDefinition,
  UnaryRequest,
} from "./messages.ts";

/** What the methods know of a call, whichever path it came by. */
export interface ConformanceCall {
  readonly requestHeader: Headers;
  readonly responseHeader: Headers;
  readonly responseTrailer: Headers;
  readonly deadlineMs: number | undefined;
  /** Of a GET; undefined for others. */
  readonly query: URLSearchParams | undefined;
  readonly signal: AbortSignal;
}

export type ResponseInit = MessageInitShape<GenMessage<Response>>;

/** The suite's service, by the contract in its `service.proto`. */
export class ConformanceHandlers {
  readonly #protos: Protos;

  constructor(protos: Protos) {
    this.#protos = protos;
  }

  unary(request: UnaryRequest, call: ConformanceCall): Promise<ResponseInit> {
    return this.#answerOnce(request.responseDefinition, call, [
      anyPack(this.#protos.unaryRequest, request),
    ]);
  }

  idempotentUnary(request: UnaryRequest, call: ConformanceCall): Promise<ResponseInit> {
    return this.#answerOnce(request.responseDefinition, call, [
      anyPack(this.#protos.idempotentUnaryRequest, request),
    ]);
  }

  async clientStream(
    requests: AsyncIterable<UnaryRequest>,
    call: ConformanceCall,
  ): Promise<ResponseInit> {
    let first: UnaryRequest | undefined;
    const seen: Any[] = [];
    for await (const request of requests) {
      first ??= request;
      seen.push(anyPack(this.#protos.clientStreamRequest, request));
    }
    return await this.#answerOnce(first?.responseDefinition, call, seen);
  }

  async *serverStream(
    request: ServerStreamRequest,
    call: ConformanceCall,
  ): AsyncGenerator<ResponseInit> {
    const { responseDefinition } = request;
    const seen = [anyPack(this.#protos.serverStreamRequest, request)];
    if (responseDefinition === undefined) return;
    setMetadata(responseDefinition, call);
    yield* this.#answerRest(responseDefinition, call, { seen, from: 0 });
  }

  async *bidiStream(
    requests: AsyncIterable<BidiStreamRequest>,
    call: ConformanceCall,
  ): AsyncGenerator<ResponseInit> {
    let first: BidiStreamRequest | undefined;
    let seen: Any[] = [];
    let answered = 0;
    for await (const request of requests) {
      seen.push(anyPack(this.#protos.bidiStreamRequest, request));
      if (first === undefined) setMetadata(request.responseDefinition, call);
      first ??= request;
      if (!first.fullDuplex) continue;
      const data = first.responseDefinition?.responseData[answered];
      if (data === undefined) break; // nothing is left to say but the error, if there is one
      await sleep(first.responseDefinition?.responseDelayMs ?? 0, call);
      const requestInfo =
        answered === 0
          ? this.#info(call, seen)
          : create(this.#protos.requestInfo, { requests: seen });
      yield { payload: { data, requestInfo } };
      seen = [];
      answered += 1;
    }
    const definition = first?.responseDefinition;
    if (definition !== undefined) {
      yield* this.#answerRest(definition, call, { seen, from: answered });
    }
  }

  async #answerOnce(
    definition: UnaryDefinition | undefined,
    call: ConformanceCall,
    seen: Any[],
  ): Promise<ResponseInit> {
    const requestInfo = this.#info(call, seen);
    if (definition === undefined) return { payload: { requestInfo } };
    setMetadata(definition, call);
    await sleep(definition.responseDelayMs, call);
    const { response } = definition;
    if (response.case === "error") throw this.#toError(response.value, requestInfo);
    return { payload: { requestInfo, data: response.value ?? new Uint8Array(0) } };
  }

  /** Sends what is left of a stream's answer. The first message, or else the error, tells what was seen. */
  async *#answerRest(
    definition: StreamDefinition,
    call: ConformanceCall,
    { seen, from }: { readonly seen: Any[]; readonly from: number },
  ): AsyncGenerator<ResponseInit> {
    let isFirst = from === 0;
    for (const data of definition.responseData.slice(from)) {
      await sleep(definition.responseDelayMs, call);
      yield { payload: isFirst ? { data, requestInfo: this.#info(call, seen) } : { data } };
      isFirst = false;
    }
    if (definition.error === undefined) return;
    throw this.#toError(definition.error, isFirst ? this.#info(call, seen) : undefined);
  }

  #info(call: ConformanceCall, requests: Any[]): RequestInfo {
    const { deadlineMs, query } = call;
    const requestHeaders: HeaderInit[] = [];
    call.requestHeader.forEach((value, name) => {
      requestHeaders.push({ name, value: [value] });
    });
    return create(this.#protos.requestInfo, {
      requestHeaders,
      requests,
      ...(deadlineMs === undefined ? {} : { timeoutMs: BigInt(Math.trunc(deadlineMs)) }),
      ...(query === undefined ? {} : { connectGetInfo: { queryParams: toParameters(query) } }),
    });
  }

  #toError(definition: ErrorDefinition, info: RequestInfo | undefined): ConnectError {
    const error = new ConnectError(definition.message ?? "", definition.code);
    error.details = definition.details.map(({ typeUrl, value }) => ({
      type: typeUrl.slice(typeUrl.lastIndexOf("/") + 1),
      value,
    }));
    if (info !== undefined) {
      const { requestInfo } = this.#protos;
      error.details.push({ type: requestInfo.typeName, value: toBinary(requestInfo, info) });
    }
    return error;
  }
}

type HeaderInit = Omit<Header, keyof Message>;

function toParameters(query: URLSearchParams): HeaderInit[] {
  return [...new Set(query.keys())].map((name) => ({ name, value: query.getAll(name) }));
}

function setMetadata(
  definition: UnaryDefinition | StreamDefinition | undefined,
  call: ConformanceCall,
): void {
  for (const { name, value } of definition?.responseHeaders ?? []) {
    for (const one of value) call.responseHeader.append(name, one);
  }
  for (const { name, value } of definition?.responseTrailers ?? []) {
    for (const one of value) call.responseTrailer.append(name, one);
  }
}

/** @throws the signal's reason when the call ends before */
async function sleep(delayMs: number, call: ConformanceCall): Promise<void> {
  if (delayMs === 0) return;
  const { signal } = call;
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, delayMs);
  const unsubscribe = onAbort(signal, resolve);
  await promise;
  clearTimeout(timer);
  unsubscribe();
  signal.throwIfAborted();
}
