import { readU32 } from "../../base/bytes.ts";
import { type Hello, HelloSchema } from "../../gen/proglog/internal/v1/peer_service_pb.ts";
import { crc32 } from "../../platform/crc32.ts";
import { isCoreMessage } from "../../raft/core-messages.ts";
import type { RaftEnvelope } from "../../raft/transport.ts";
import { decodeRequest, malformed } from "../hot/decode-request.ts";
import { WireReader } from "../hot/wire-reader.ts";
import { UNKNOWN_DEPTH_MAX } from "./peer-limits.ts";

/** Fields of proglog.internal.v1, with their wire types. */
const REQUEST_HELLO = 0x0a;
const REQUEST_MESSAGES = 0x12;
const REQUEST_CLOCK = 0x18;
const MESSAGE_ROUTE = 0x0a;
const MESSAGE_MESSAGE = 0x12;
const MESSAGE_CRCS = 0x1a;
const MESSAGE_PAYLOADS = 0x22;
const MESSAGE_IS_QUIESCE = 0x28;
const ROUTE_TOPIC = 0x08;
const ROUTE_SOURCE = 0x10;
const ROUTE_TARGET = 0x18;

const CRC_BYTES = 4;

/** Told of what is in a request, in its order. */
export interface RequestListener {
  onHello(hello: Hello): void;
  onMessage(envelope: RaftEnvelope): void;
  onClock(unixUs: number): void;
}

/**
 * Reads ControlRequest and PayloadRequest. Nothing is copied: what it finds are views. Each message is
 * checked as far as can be before it is handed on: its shape, its core message's, its payloads' CRCs.
 */
export class PeerReader {
  readonly #reader = new WireReader();
  readonly #messagesMax: number;

  /** @param messagesMax Raft messages in one request */
  constructor(messagesMax: number) {
    this.#messagesMax = messagesMax;
  }

  /** @throws MESSAGE_INVALID, after what came before was handed on */
  read(bytes: Uint8Array, listener: RequestListener): void {
    const reader = this.#reader;
    reader.open(bytes);
    let messageCount = 0;
    while (reader.at < bytes.length) {
      switch (this.#tag()) {
        case REQUEST_HELLO:
          listener.onHello(decodeRequest(HelloSchema, this.#sized(bytes.length)));
          break;
        case REQUEST_MESSAGES: {
          messageCount += 1;
          if (messageCount > this.#messagesMax) throw malformed("too many messages");
          const end = this.#end(bytes.length);
          listener.onMessage(this.#message(end));
          break;
        }
        case REQUEST_CLOCK:
          listener.onClock(this.#reader.readSafeInteger());
          break;
        default:
          reader.skip(UNKNOWN_DEPTH_MAX);
      }
    }
  }

  #message(end: number): RaftEnvelope {
    const reader = this.#reader;
    let route: Route = NO_ROUTE;
    let message: Uint8Array | undefined;
    let crcs: Uint8Array | undefined;
    let payloads: Uint8Array[] | undefined;
    let isQuiesce = false;
    while (reader.at < end) {
      switch (this.#tag()) {
        case MESSAGE_ROUTE:
          route = this.#route(this.#end(end));
          break;
        case MESSAGE_MESSAGE:
          message = this.#sized(end);
          break;
        case MESSAGE_CRCS:
          crcs = this.#sized(end);
          break;
        case MESSAGE_PAYLOADS:
          payloads ??= [];
          payloads.push(this.#sized(end));
          break;
        case MESSAGE_IS_QUIESCE:
          isQuiesce = this.#reader.readSafeInteger() !== 0;
          break;
        default:
          reader.skip(UNKNOWN_DEPTH_MAX);
      }
    }
    if (reader.at > end) throw malformed("a field is longer than its message");
    if (message === undefined || !isCoreMessage(message)) throw malformed("no message of the core");
    checkCrcs(payloads, crcs);
    const { topicId, fromReplica, toReplica } = route;
    const envelope = { topicId, fromReplica, toReplica, message };
    if (payloads !== undefined) return { ...envelope, payloads };
    return isQuiesce ? { ...envelope, isQuiesce } : envelope;
  }

  #route(end: number): Route {
    const reader = this.#reader;
    let topicId = 0;
    let fromReplica = 0;
    let toReplica = 0;
    while (reader.at < end) {
      const tag = this.#tag();
      if (tag === ROUTE_TOPIC) topicId = this.#reader.readSafeInteger();
      else if (tag === ROUTE_SOURCE) fromReplica = this.#reader.readSafeInteger();
      else if (tag === ROUTE_TARGET) toReplica = this.#reader.readSafeInteger();
      else reader.skip(UNKNOWN_DEPTH_MAX);
    }
    if (reader.at > end) throw malformed("a field is longer than its message");
    return { topicId, fromReplica, toReplica };
  }

  /** Number and wire type in one; the next field's. */
  #tag(): number {
    this.#reader.readTag();
    return (this.#reader.number << 3) | this.#reader.wireType;
  }

  /** Goes into a field with a length. @param limit where what it is in ends */
  #end(limit: number): number {
    const end = this.#reader.enterSized();
    if (end > limit) throw malformed("a field is longer than its message");
    return end;
  }

  #sized(limit: number): Uint8Array {
    const end = this.#end(limit);
    const found = this.#reader.bytes.subarray(this.#reader.at, end);
    this.#reader.at = end;
    return found;
  }
}

type Route = Omit<RaftEnvelope, "message" | "payloads">;

const NO_ROUTE: Route = { topicId: 0, fromReplica: 0, toReplica: 0 };

function checkCrcs(payloads: readonly Uint8Array[] = [], crcs: Uint8Array | undefined): void {
  if ((crcs?.length ?? 0) !== CRC_BYTES * payloads.length) {
    throw malformed("not one CRC for each payload");
  }
  if (crcs === undefined) return;
  for (const [number, payload] of payloads.entries()) {
    if (crc32(payload) !== readU32(crcs, CRC_BYTES * number)) {
      throw malformed(`payload ${number} does not have the CRC that was sent with it`);
    }
  }
}
