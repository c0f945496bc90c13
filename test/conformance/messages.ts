import { readFileSync } from "node:fs";
import {
  createFileRegistry,
  type DescMessage,
  type FileRegistry,
  fromBinary,
  type Message,
} from "@bufbuild/protobuf";
import type { GenMessage } from "@bufbuild/protobuf/codegenv2";
import { type Any, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { assert } from "../../src/base/assert.ts";
import { PROTOS_FILE } from "./suite.ts";

const PACKAGE = "connectrpc.conformance.v1";

export interface Header extends Message {
  name: string;
  value: string[];
}

export interface ErrorDefinition extends Message {
  code: number;
  message?: string;
  details: Any[];
}

export interface UnaryDefinition extends Message {
  responseHeaders: Header[];
  response:
    | { case: "responseData"; value: Uint8Array }
    | { case: "error"; value: ErrorDefinition }
    | { case: undefined; value?: undefined };
  responseTrailers: Header[];
  responseDelayMs: number;
}

export interface StreamDefinition extends Message {
  responseHeaders: Header[];
  responseData: Uint8Array[];
  responseDelayMs: number;
  error?: ErrorDefinition;
  responseTrailers: Header[];
}

/** Of Unary, IdempotentUnary and ClientStream. */
export interface UnaryRequest extends Message {
  responseDefinition?: UnaryDefinition;
}

export interface ServerStreamRequest extends Message {
  responseDefinition?: StreamDefinition;
}

export interface BidiStreamRequest extends ServerStreamRequest {
  fullDuplex: boolean;
}

export interface RequestInfo extends Message {
  requestHeaders: Header[];
  timeoutMs?: bigint;
  requests: Any[];
  connectGetInfo?: ConnectGetInfo;
}

interface ConnectGetInfo extends Message {
  queryParams: Header[];
}

interface Payload extends Message {
  data: Uint8Array;
  requestInfo?: RequestInfo;
}

/** Of every method. */
export interface Response extends Message {
  payload?: Payload;
}

export interface ServerRequest extends Message {
  useTls: boolean;
  clientTlsCert: Uint8Array;
  messageReceiveLimit: number;
  serverCreds?: TlsCreds;
}

interface TlsCreds extends Message {
  cert: Uint8Array;
  key: Uint8Array;
}

export interface ServerResponse extends Message {
  host: string;
  port: number;
  pemCert: Uint8Array;
}

/** The suite's protos, as far as a server needs them: read from their descriptors, so that no copy is kept here. */
export class Protos {
  readonly registry: FileRegistry = createFileRegistry(
    fromBinary(FileDescriptorSetSchema, readFileSync(PROTOS_FILE)),
  );
  readonly service = this.#service();
  readonly requestInfo: GenMessage<RequestInfo> = this.message("ConformancePayload.RequestInfo");
  readonly unaryRequest: GenMessage<UnaryRequest> = this.message("UnaryRequest");
  readonly idempotentUnaryRequest: GenMessage<UnaryRequest> =
    this.message("IdempotentUnaryRequest");
  readonly clientStreamRequest: GenMessage<UnaryRequest> = this.message("ClientStreamRequest");
  readonly serverStreamRequest: GenMessage<ServerStreamRequest> =
    this.message("ServerStreamRequest");
  readonly bidiStreamRequest: GenMessage<BidiStreamRequest> = this.message("BidiStreamRequest");

  /** `M` is what the proto says, written down above: nothing checks that the two agree but the suite. */
  message<M extends Message>(name: string): GenMessage<M> {
    const desc: DescMessage | undefined = this.registry.getMessage(`${PACKAGE}.${name}`);
    assert(desc !== undefined, `The suite has no message ${name}`);
    return desc as GenMessage<M>;
  }

  #service() {
    const desc = this.registry.getService(`${PACKAGE}.ConformanceService`);
    assert(desc !== undefined, "The suite has no ConformanceService");
    return desc;
  }
}
