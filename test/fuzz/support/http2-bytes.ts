import { concat } from "../../../src/base/bytes.ts";

/** HTTP/2 by hand: frames, right ones, out of which tests make wrong ones. */
export const PREFACE: Uint8Array = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

export const FRAME = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

const END_STREAM = 1;
const END_HEADERS = 4;

const FRAME_HEADER_BYTES = 9;

export function frame(
  type: number,
  flags: number,
  streamId: number,
  payload: Uint8Array = new Uint8Array(0),
): Uint8Array {
  const bytes = Buffer.alloc(FRAME_HEADER_BYTES + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(streamId, 5);
  bytes.set(payload, FRAME_HEADER_BYTES);
  return bytes;
}

const u32 = (value: number): Uint8Array => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};

export const settings = (...pairs: readonly (readonly [id: number, value: number])[]): Uint8Array =>
  frame(
    FRAME.settings,
    0,
    0,
    concat(pairs.map(([id, value]) => concat([Uint8Array.of(0, id), u32(value)]))),
  );
export const settingsAck = (): Uint8Array => frame(FRAME.settings, 1, 0);
export const ping = (isAck = false): Uint8Array =>
  frame(FRAME.ping, isAck ? 1 : 0, 0, new Uint8Array(8));
export const windowUpdate = (streamId: number, byteCount: number): Uint8Array =>
  frame(FRAME.windowUpdate, 0, streamId, u32(byteCount));
export const rstStream = (streamId: number, code = 8): Uint8Array =>
  frame(FRAME.rstStream, 0, streamId, u32(code));
export const goaway = (): Uint8Array => frame(FRAME.goaway, 0, 0, new Uint8Array(8));

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
    block,
  );

export const continuation = (
  streamId: number,
  block: Uint8Array,
  endHeaders: boolean,
): Uint8Array => frame(FRAME.continuation, endHeaders ? END_HEADERS : 0, streamId, block);

export const data = (streamId: number, bytes: Uint8Array, endStream = false): Uint8Array =>
  frame(FRAME.data, endStream ? END_STREAM : 0, streamId, bytes);
