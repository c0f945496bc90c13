import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { ProglogError } from "../../base/errors.ts";
import type {
  CopyPiece,
  CopyRequest,
  GenesisAnswer,
  GenesisRequest,
  InviteAnswer,
  InviteRequest,
  JoinAnswer,
  JoinRequest,
  PeerCallOptions,
  PeerCalls,
  PeerSelf,
} from "../../cluster/peer-host.ts";
import {
  type Hello,
  InviteRequestSchema,
  InviteResponseSchema,
  JoinResponseSchema,
  PeerService,
  PromiseGenesisResponseSchema,
  ProposeRequestSchema,
  ProposeResponseSchema,
} from "../../gen/proglog/internal/v1/peer_service_pb.ts";
import { decodeRequest } from "../hot/decode-request.ts";
import { AnswerStream } from "./answer-stream.ts";
import { decodeCopyPiece } from "./copy-wire.ts";
import { helloOf } from "./peer-hello.ts";
import {
  encodeCopyRequest,
  encodeGenesisRequest,
  encodeJoinRequest,
  encodeMessage,
  toGenesisAnswer,
  toJoinAnswer,
} from "./peer-messages.ts";
import type { PeerHouse } from "./peer-stream.ts";

const TIMEOUT_MS = 5_000;
const SILENCE_MS = 30_000;

export interface OutboundCallsOptions extends PeerHouse {
  readonly self: () => PeerSelf | undefined;
  readonly addressOf: (nodeId: string) => string | undefined;
}

type MethodName = "join" | "invite" | "propose" | "promiseGenesis" | "copyRange";

interface UnaryCall<D extends DescMessage> {
  readonly method: MethodName;
  readonly request: Uint8Array;
  readonly response: D;
}

/** Calls of other nodes, each on a connection of its own: they are few, and copies are long. */
export class OutboundCalls implements PeerCalls {
  readonly #options: OutboundCallsOptions;
  readonly #open = new Set<AnswerStream>();

  constructor(options: OutboundCallsOptions) {
    this.#options = options;
  }

  async join(
    address: string,
    request: JoinRequest,
    options?: PeerCallOptions,
  ): Promise<JoinAnswer> {
    const call = { method: "join", response: JoinResponseSchema } as const;
    const body = encodeJoinRequest(request, this.#options.processNonce);
    return toJoinAnswer(await this.#ask(address, { ...call, request: body }, options));
  }

  async promiseGenesis(
    address: string,
    request: GenesisRequest,
    options?: PeerCallOptions,
  ): Promise<GenesisAnswer> {
    const call = { method: "promiseGenesis", response: PromiseGenesisResponseSchema } as const;
    const body = encodeGenesisRequest(request);
    return toGenesisAnswer(await this.#ask(address, { ...call, request: body }, options));
  }

  async invite(
    address: string,
    { clusterId, addresses }: InviteRequest,
    options?: PeerCallOptions,
  ): Promise<InviteAnswer> {
    const call = { method: "invite", response: InviteResponseSchema } as const;
    const body = encodeMessage(InviteRequestSchema, { clusterId, addresses: [...addresses] });
    const { serverId } = await this.#ask(address, { ...call, request: body }, options);
    return { nodeId: serverId };
  }

  async propose(
    nodeId: string,
    command: Uint8Array,
    options?: PeerCallOptions,
  ): Promise<Uint8Array> {
    const { address, hello } = this.#memberOf(nodeId);
    const request = encodeMessage(ProposeRequestSchema, {
      hello,
      command: Uint8Array.from(command),
    });
    const call = { method: "propose", request, response: ProposeResponseSchema } as const;
    return (await this.#ask(address, call, options)).outcome;
  }

  async *copyRange(
    nodeId: string,
    request: CopyRequest,
    options: PeerCallOptions = {},
  ): AsyncGenerator<CopyPiece> {
    const { address, hello } = this.#memberOf(nodeId);
    const body = encodeCopyRequest(request, hello);
    const stream = this.#begin(address, "copyRange", body, options, SILENCE_MS);
    try {
      for (;;) {
        const message = await stream.next();
        if (message === undefined) return;
        yield decodeCopyPiece(message);
      }
    } finally {
      this.#leave(stream);
    }
  }

  /** Gives up all calls. */
  close(): void {
    for (const stream of this.#open) this.#leave(stream);
  }

  #memberOf(nodeId: string): { readonly address: string; readonly hello: Hello } {
    const address = this.#options.addressOf(nodeId);
    const self = this.#options.self();
    if (address !== undefined && self !== undefined)
      return { address, hello: helloOf(self, nodeId, this.#options.processNonce) };
    throw new ProglogError("PEER_UNKNOWN", `Cannot ask "${nodeId}": it is not a member`, {
      metadata: { serverId: nodeId },
    });
  }

  async #ask<D extends DescMessage>(
    address: string,
    { method, request, response }: UnaryCall<D>,
    options: PeerCallOptions = {},
  ): Promise<MessageShape<D>> {
    const stream = this.#begin(address, method, request, options, TIMEOUT_MS);
    try {
      const message = await stream.next();
      await stream.next(); // the status is behind the message
      if (message !== undefined) return decodeRequest(response, message);
    } finally {
      this.#leave(stream);
    }
    throw new ProglogError("PROTOCOL_UNKNOWN", `The server at ${address} answered nothing`);
  }

  #begin(
    address: string,
    method: MethodName,
    request: Uint8Array,
    { signal, timeoutMs }: PeerCallOptions,
    timeoutMsDefault: number,
  ): AnswerStream {
    const stream = new AnswerStream({
      ...this.#options,
      address,
      path: `/${PeerService.typeName}/${PeerService.method[method].name}`,
      request,
      silenceMsMax: timeoutMs ?? timeoutMsDefault,
      signal,
    });
    this.#open.add(stream);
    return stream;
  }

  #leave(stream: AnswerStream): void {
    this.#open.delete(stream);
    stream.close();
  }
}
