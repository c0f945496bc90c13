import { concat } from "../../../src/base/bytes.ts";
import { frame, FRAME as KNOWN, reset, settings, windowUpdate } from "../../rpc/http2-frames.ts";

/** HTTP/2 by hand: right frames, out of which tests make wrong ones. */
export const PREFACE: Uint8Array = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

export { frame, settings, windowUpdate };

export const FRAME = { ...KNOWN, priority: 2, continuation: 9 } as const;

const END_STREAM = 1;
const END_HEADERS = 4;
const CANCEL = 8;

export const settingsAck = (): Uint8Array => frame(FRAME.settings, 1, 0);
export const ping = (): Uint8Array => frame(FRAME.ping, 0, 0, Buffer.alloc(8));
export const rstStream = (streamId: number): Uint8Array => reset(streamId, CANCEL);
export const goaway = (): Uint8Array => frame(FRAME.goaway, 0, 0, Buffer.alloc(8));

/** Fields in HPACK, as literals that are neither indexed nor compressed. */
export function fields(of: Readonly<Record<string, string>>): Uint8Array {
  const text = (value: string) => {
    const bytes = Buffer.from(value, "latin1");
    return concat([lengthOf(bytes.length), bytes]);
  };
  return concat(
    Object.entries(of).flatMap(([name, value]) => [Uint8Array.of(0), text(name), text(value)]),
  );
}

/** An HPACK integer with a prefix of seven bits. */
function lengthOf(length: number): Uint8Array {
  if (length < 127) return Uint8Array.of(length);
  const bytes = [127];
  let rest = length - 127;
  for (; rest >= 128; rest >>>= 7) bytes.push((rest & 127) | 128);
  return Uint8Array.from([...bytes, rest]);
}

export const headers = (
  streamId: number,
  block: Uint8Array,
  { endStream = false, endHeaders = true } = {},
): Uint8Array =>
  frame(
    FRAME.headers,
    (endStream ? END_STREAM : 0) | (endHeaders ? END_HEADERS : 0),
    streamId,
    Buffer.from(block),
  );

export const continuation = (
  streamId: number,
  block: Uint8Array,
  endHeaders: boolean,
): Uint8Array =>
  frame(FRAME.continuation, endHeaders ? END_HEADERS : 0, streamId, Buffer.from(block));

export const data = (streamId: number, bytes: Uint8Array, endStream = false): Uint8Array =>
  frame(FRAME.data, endStream ? END_STREAM : 0, streamId, Buffer.from(bytes));
