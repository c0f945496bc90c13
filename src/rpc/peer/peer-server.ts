import type { Abortable } from "../../base/abortable.ts";
import type { Clock } from "../../base/clock.ts";
import { ProglogError } from "../../base/errors.ts";
import type { PeerHost } from "../../cluster/peer-host.ts";
import {
  ControlResponseSchema,
  CopyRangeRequestSchema,
  type Hello,
  InviteRequestSchema,
  InviteResponseSchema,
  JoinRequestSchema,
  PayloadResponseSchema,
  PromiseGenesisRequestSchema,
  ProposeRequestSchema,
  ProposeResponseSchema,
} from "../../gen/proglog/internal/v1/peer_service_pb.ts";
import { decodeRequest } from "../hot/decode-request.ts";
import type { LeanCall } from "../lean/lean-call.ts";
import type { DuplexOutput, Encoded, LeanMethod, LeanOutput } from "../lean/lean-method.ts";
import { ByteRate } from "./byte-rate.ts";
import { encodeCopyPiece } from "./copy-wire.ts";
import { type InboundAnswer, InboundStream } from "./inbound-stream.ts";
import { greeted } from "./peer-hello.ts";
import { DOUBT_PART, type PeerLimits } from "./peer-limits.ts";
import {
  encodeGenesisAnswer,
  encodeJoinAnswer,
  encodeMessage,
  toCopyRequest,
  toGenesisRequest,
  toJoinRequest,
} from "./peer-messages.ts";
import { inUse, PeerProcesses } from "./peer-processes.ts";

export interface PeerServerOptions {
  /** Undefined as long as there is no node. */
  readonly host: () => PeerHost | undefined;
  readonly clock: Clock;
  readonly limits: PeerLimits;
  /** See `PeerHouse`. */
  readonly processNonce: bigint;
  /** Something came from a peer. */
  readonly onHeard: (nodeId: string) => void;
}

type StreamName = "control" | "payload";

/** What other nodes call here: PeerService, by the methods' local names. */
export class PeerServer {
  readonly methods: Readonly<Record<string, LeanMethod>>;
  readonly #options: PeerServerOptions;
  readonly #rate: ByteRate;
  readonly #processes: PeerProcesses;
  /** Streams that are open; those of nodes that have said who they are by name and node. */
  readonly #streams = new Set<InboundStream>();
  readonly #named = new Map<string, InboundStream>();
  #isClosed = false;

  constructor(options: PeerServerOptions) {
    const messageBytesMax = options.limits.requestBytesMax;
    this.#options = options;
    this.#rate = new ByteRate(options.clock, options.limits.copyBytesPerSecond);
    const { pingIntervalMs, pingTimeoutMs } = options.limits;
    this.#processes = new PeerProcesses({
      clock: options.clock,
      silentMs: pingIntervalMs + pingTimeoutMs,
      doubtMs: DOUBT_PART * pingTimeoutMs,
    });
    this.methods = {
      control: {
        kind: "duplex",
        messageBytesMax,
        open: (output) => this.#open("control", output),
      },
      payload: {
        kind: "duplex",
        messageBytesMax,
        open: (output) => this.#open("payload", output),
      },
      copyRange: {
        kind: "server_streaming",
        run: (body, output, call) => this.#copyRange(body, output, call),
      },
      propose: { kind: "unary", answer: (body, { call }) => this.#propose(body, call) },
      join: { kind: "unary", answer: (body, { call }) => this.#join(body, call) },
      promiseGenesis: {
        kind: "unary",
        answer: (body, { call }) => this.#promiseGenesis(body, call),
      },
      invite: { kind: "unary", answer: (body, { call }) => this.#invite(body, call) },
    };
  }

  /** Ends the streams of all peers, and takes no more. */
  close(): void {
    this.#isClosed = true;
    for (const stream of this.#streams) stream.end();
  }

  /** Who calls. @throws as `greeted`; SERVER_ID_IN_USE */
  #callerOf(hello: Hello | undefined, host: PeerHost): string {
    const { sourceServerId, processNonce } = greeted(hello, host);
    this.#processes.check(sourceServerId, processNonce);
    return sourceServerId;
  }

  /** Also this process is a server, of which another one may have a copy. @throws SERVER_ID_IN_USE */
  #checkProcess(serverId: string, nonce: bigint, host: PeerHost): void {
    const isSelf = serverId === host.self().nodeId;
    if (isSelf && nonce !== this.#options.processNonce) throw inUse(serverId);
    this.#processes.check(serverId, nonce);
  }

  #host(): PeerHost {
    if (this.#isClosed)
      throw new ProglogError("DRAINING", "Cannot begin the call: the server is stopping");
    const host = this.#options.host();
    if (host !== undefined) return host;
    throw new ProglogError("STARTING", "Cannot begin the call: the server is starting");
  }

  #open(name: StreamName, output: DuplexOutput): InboundStream {
    const { clock, limits, onHeard } = this.#options;
    let place: string | undefined;
    const stream = new InboundStream({
      host: this.#host(),
      processes: this.#processes,
      clock,
      limits,
      output,
      encode: name === "control" ? encodeControl : encodePayload,
      onGreeted: (nodeId) => {
        place = `${name} ${nodeId}`;
        // Its sender has given up the older one, or has been replaced.
        this.#named.get(place)?.end();
        this.#named.set(place, stream);
      },
      onHeard,
      onClosed: () => {
        this.#streams.delete(stream);
        if (place !== undefined && this.#named.get(place) === stream) this.#named.delete(place);
      },
    });
    this.#streams.add(stream);
    return stream;
  }

  async #copyRange(body: Uint8Array, output: LeanOutput, { call }: LeanCall): Promise<void> {
    const host = this.#host();
    const request = decodeRequest(CopyRangeRequestSchema, body);
    const nodeId = this.#callerOf(request.hello, host);
    for await (const piece of host.copyRange(nodeId, toCopyRequest(request), call)) {
      if (output.isClosed) return;
      const message = encodeCopyPiece(piece);
      await this.#rate.take(message.byteLength, call);
      if (!output.write(message)) await output.whenRoom();
      if (output.isClosed) return;
    }
  }

  async #join(body: Uint8Array, caller: Abortable): Promise<Encoded> {
    const host = this.#host();
    const request = decodeRequest(JoinRequestSchema, body);
    this.#checkProcess(request.serverId, request.processNonce, host);
    return encoded(encodeJoinAnswer(await host.join(toJoinRequest(request), caller)));
  }

  async #propose(body: Uint8Array, caller: Abortable): Promise<Encoded> {
    const host = this.#host();
    const { command, hello } = decodeRequest(ProposeRequestSchema, body);
    const outcome = await host.propose(this.#callerOf(hello, host), command, caller);
    return encoded(encodeMessage(ProposeResponseSchema, { outcome }));
  }

  async #invite(body: Uint8Array, caller: Abortable): Promise<Encoded> {
    const { clusterId, addresses } = decodeRequest(InviteRequestSchema, body);
    const { nodeId: serverId } = await this.#host().invite({ clusterId, addresses }, caller);
    return encoded(encodeMessage(InviteResponseSchema, { serverId }));
  }

  async #promiseGenesis(body: Uint8Array, caller: Abortable): Promise<Encoded> {
    const request = toGenesisRequest(decodeRequest(PromiseGenesisRequestSchema, body));
    return encoded(encodeGenesisAnswer(await this.#host().promiseGenesis(request, caller)));
  }
}

function encodeControl(answer: InboundAnswer): Encoded {
  return encoded(encodeMessage(ControlResponseSchema, answer));
}

function encodePayload({ receivedBytes, refused }: InboundAnswer): Encoded {
  return encoded(encodeMessage(PayloadResponseSchema, { receivedBytes, refused }));
}

function encoded(bytes: Uint8Array): Encoded {
  return { parts: [bytes], byteLength: bytes.length };
}
