import { crc32 } from "../../platform/crc32.ts";
import type { RaftEnvelope } from "../../raft/transport.ts";
import { writeVarintField } from "../hot/wire-writer.ts";
import { ENVELOPE_HEADER_BYTES, writeHeader } from "../lean/envelope.ts";
import { fieldBytes, numberBytes, PieceWriter, SPLICED_BYTES_MIN } from "./piece-writer.ts";

/** Fields of proglog.internal.v1, as tags of fields with a length. */
const REQUEST_MESSAGES = 0x12;
const MESSAGE_ROUTE = 0x0a;
const MESSAGE_MESSAGE = 0x12;
const MESSAGE_CRCS = 0x1a;
const MESSAGE_PAYLOADS = 0x22;
const MESSAGE_IS_QUIESCE = 5;
const ROUTE_TOPIC = 1;
const ROUTE_SOURCE = 2;
const ROUTE_TARGET = 3;

const CRC_BYTES = 4;
/** A flag that is set, with its tag. */
const FLAG_BYTES = 2;

/** A message that waits to be sent. */
export interface Outgoing {
  readonly envelope: RaftEnvelope;
  readonly routeBytes: number;
  /** Bytes of the encoded message. */
  readonly byteLength: number;
  /** Bytes of it in a request, with its tag and length. */
  readonly sizedBytes: number;
  /** The same without payloads that go out as they are. */
  readonly copiedBytes: number;
}

export function toOutgoing(envelope: RaftEnvelope): Outgoing {
  const { message, payloads = [] } = envelope;
  const routeBytes =
    numberBytes(envelope.topicId) +
    numberBytes(envelope.fromReplica) +
    numberBytes(envelope.toReplica);
  let byteLength = fieldBytes(routeBytes) + fieldBytes(message.length);
  let splicedBytes = 0;
  if (envelope.isQuiesce === true) byteLength += FLAG_BYTES;
  if (payloads.length > 0) byteLength += fieldBytes(CRC_BYTES * payloads.length);
  for (const payload of payloads) {
    byteLength += fieldBytes(payload.length);
    if (payload.length >= SPLICED_BYTES_MIN) splicedBytes += payload.length;
  }
  const sizedBytes = fieldBytes(byteLength);
  return { envelope, routeBytes, byteLength, sizedBytes, copiedBytes: sizedBytes - splicedBytes };
}

/**
 * One ControlRequest or PayloadRequest in the envelope of gRPC, in pieces to be written one after the other.
 * Large payloads are pieces themselves.
 *
 * @param head encoded fields that go before the messages
 */
export function encodeRequest(head: Uint8Array, messages: readonly Outgoing[]): Uint8Array[] {
  let byteLength = head.length;
  let copiedBytes = ENVELOPE_HEADER_BYTES + head.length;
  for (const message of messages) {
    byteLength += message.sizedBytes;
    copiedBytes += message.copiedBytes;
  }
  const writer = new PieceWriter(copiedBytes);
  writeHeader(writer.room, 0, 0, byteLength);
  writer.at = ENVELOPE_HEADER_BYTES;
  writer.put(head);
  for (const message of messages) writeMessage(writer, message);
  return writer.finish();
}

function writeMessage(writer: PieceWriter, { envelope, routeBytes, byteLength }: Outgoing): void {
  const { message, payloads = [] } = envelope;
  const { room } = writer;
  writer.tag(REQUEST_MESSAGES, byteLength);
  writer.tag(MESSAGE_ROUTE, routeBytes);
  writer.at = writeVarintField(room, writer.at, ROUTE_TOPIC, envelope.topicId);
  writer.at = writeVarintField(room, writer.at, ROUTE_SOURCE, envelope.fromReplica);
  writer.at = writeVarintField(room, writer.at, ROUTE_TARGET, envelope.toReplica);
  writer.tag(MESSAGE_MESSAGE, message.length);
  writer.put(message);
  if (envelope.isQuiesce === true) {
    writer.at = writeVarintField(room, writer.at, MESSAGE_IS_QUIESCE, 1);
  }
  if (payloads.length === 0) return;
  writer.tag(MESSAGE_CRCS, CRC_BYTES * payloads.length);
  for (const payload of payloads) writer.fixed32(crc32(payload));
  for (const payload of payloads) {
    writer.tag(MESSAGE_PAYLOADS, payload.length);
    writer.putOrSplice(payload);
  }
}
