import { EMPTY_BYTES } from "../../base/bytes.ts";
import type { ProglogError } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import type { PeerSelf } from "../../cluster/peer-host.ts";
import {
  ControlRequestSchema,
  ControlResponseSchema,
  PayloadRequestSchema,
  PayloadResponseSchema,
  PeerService,
  type Route,
} from "../../gen/proglog/internal/v1/peer_service_pb.ts";
import { CoreMessageType } from "../../raft/core.ts";
import { messageType } from "../../raft/core-messages.ts";
import type { RaftEnvelope } from "../../raft/transport.ts";
import { decodeRequest } from "../hot/decode-request.ts";
import { helloOf } from "./peer-hello.ts";
import { encodeMessage } from "./peer-messages.ts";
import { type PeerHouse, PeerStream, type PeerStreamOptions } from "./peer-stream.ts";

export interface PeerLinkOptions extends PeerHouse {
  readonly nodeId: string;
  readonly logger: Logger;
  readonly address: () => string | undefined;
  readonly self: () => PeerSelf | undefined;
  /** A stream broke, or could not be opened. */
  readonly onLost: () => void;
}

type StreamName = "control" | "payload";

/** What we have to a peer: two streams, and what is known of it by them and by its own. */
export class PeerLink {
  readonly #options: PeerLinkOptions;
  readonly #control: PeerStream;
  readonly #payload: PeerStream;
  #heardMs: number | undefined;
  /** None of our streams is open, and nothing came since the last one broke. */
  #isLost = false;
  #isDisowned = false;
  #clockOffsetUs: number | undefined;
  /** What the log said last of each stream. */
  readonly #told: Record<StreamName, "up" | "down" | undefined> = {
    control: undefined,
    payload: undefined,
  };

  constructor(options: PeerLinkOptions) {
    const { limits } = options;
    this.#options = options;
    this.#control = new PeerStream({
      ...this.#shared("control"),
      path: pathOf("control"),
      queueBytesMax: limits.controlQueueBytesMax,
      windowBytes: limits.controlWindowBytes,
      ping: () =>
        encodeMessage(ControlRequestSchema, { clockUnixUs: BigInt(options.clock.wallUs()) }),
      onResponse: (message) => this.#onControl(message),
    });
    this.#payload = new PeerStream({
      ...this.#shared("payload"),
      path: pathOf("payload"),
      queueBytesMax: limits.payloadQueueBytesMax,
      windowBytes: limits.payloadWindowBytes,
      ping: () => EMPTY_BYTES,
      onResponse: (message) => this.#onPayload(message),
    });
  }

  /** When it was last heard of, on the clock's monotonic time; undefined: never. */
  get heardMs(): number | undefined {
    return this.#heardMs;
  }

  /** Undefined: not known yet. */
  get isUp(): boolean | undefined {
    const { clock, limits } = this.#options;
    const { pingIntervalMs, pingTimeoutMs } = limits;
    if (this.#isLost) return false;
    if (this.#heardMs === undefined) return undefined;
    return clock.monotonicMs() - this.#heardMs <= pingIntervalMs + pingTimeoutMs;
  }

  /** It takes our messages. */
  get isTaken(): boolean {
    return this.#told.control === "up" || this.#told.payload === "up";
  }

  /** It says that another process is this server. */
  get isDisowned(): boolean {
    return this.#isDisowned;
  }

  /** What its clock is ahead of ours; undefined: not known. */
  get clockOffsetUs(): number | undefined {
    return this.#clockOffsetUs;
  }

  /** @returns false when it was dropped */
  send(envelope: RaftEnvelope): boolean {
    // All that carries entries goes one way, also when it has none: it must not overtake those before it.
    const type = messageType(envelope.message);
    const isBulk = type === CoreMessageType.append || type === CoreMessageType.snapshot;
    return (isBulk ? this.#payload : this.#control).send(envelope);
  }

  /** Looks whether it is there, also when there is nothing to send. */
  open(): void {
    this.#control.open();
  }

  /** Something came from it. */
  heard(): void {
    this.#heardMs = this.#options.clock.monotonicMs();
    this.#isLost = false;
  }

  close(): void {
    this.#control.close();
    this.#payload.close();
  }

  #shared(
    name: StreamName,
  ): Omit<PeerStreamOptions, "path" | "queueBytesMax" | "windowBytes" | "ping" | "onResponse"> {
    return {
      ...this.#options,
      greeting: () => this.#greeting(name),
      onLost: (error) => this.#lost(name, error),
    };
  }

  #greeting(name: StreamName): Uint8Array | undefined {
    const { clock, nodeId, processNonce, self: findSelf } = this.#options;
    const self = findSelf();
    if (self === undefined || self.clusterId === "") return undefined;
    const hello = helloOf(self, nodeId, processNonce);
    if (name === "payload") return encodeMessage(PayloadRequestSchema, { hello });
    return encodeMessage(ControlRequestSchema, { hello, clockUnixUs: BigInt(clock.wallUs()) });
  }

  #onControl(message: Uint8Array): number {
    const { receivedBytes, refused, echoedClockUnixUs, clockUnixUs } = decodeRequest(
      ControlResponseSchema,
      message,
    );
    if (echoedClockUnixUs !== 0n) {
      const nowUs = this.#options.clock.wallUs();
      const middleUs = (nowUs + Number(echoedClockUnixUs)) / 2;
      this.#clockOffsetUs = Math.round(Number(clockUnixUs) - middleUs);
    }
    return this.#answered("control", receivedBytes, refused);
  }

  #onPayload(message: Uint8Array): number {
    const { receivedBytes, refused } = decodeRequest(PayloadResponseSchema, message);
    return this.#answered("payload", receivedBytes, refused);
  }

  #answered(name: StreamName, receivedBytes: bigint, refused: readonly Route[]): number {
    const { logger, nodeId } = this.#options;
    this.heard();
    this.#isDisowned = false;
    if (this.#told[name] !== "up") {
      this.#told[name] = "up";
      logger.info("A peer is connected", { peer: nodeId, stream: name });
    }
    for (const { topicId, targetReplicaId } of refused) {
      logger.debug("A peer does not have a replica", {
        peer: nodeId,
        topicId: Number(topicId),
        replicaId: Number(targetReplicaId),
      });
    }
    return Number(receivedBytes);
  }

  #lost(name: StreamName, { reason, message }: ProglogError): void {
    const { logger, nodeId, onLost } = this.#options;
    const fields = { peer: nodeId, stream: name, reason, problem: message };
    if (this.#told[name] === "down") logger.debug("A peer is still not connected", fields);
    else logger.warn("A peer is not connected", fields);
    this.#told[name] = "down";
    this.#isDisowned = reason === "SERVER_ID_IN_USE";
    if (!this.isTaken) this.#isLost = true;
    onLost();
  }
}

function pathOf(method: StreamName): string {
  return `/${PeerService.typeName}/${PeerService.method[method].name}`;
}
