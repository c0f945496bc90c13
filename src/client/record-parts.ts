import { ByteWriter } from "../base/bytes.ts";

/** Field numbers and wire types of proglog.v1.Record and Header, as they stand on the wire. */
export const TAG = {
  key: 0x0a,
  value: 0x12,
  header: 0x1a,
  clientTime: 0x20,
  headerName: 0x0a,
  headerValue: 0x12,
} as const;

export interface HeaderParts {
  readonly name: string;
  readonly value: Uint8Array;
}

/** Everything of a record but its value. */
export interface RecordMeta {
  readonly key: Uint8Array;
  readonly headers: readonly HeaderParts[];
  /** Microseconds since 1970, any 64-bit integer. */
  readonly clientTimeUs?: bigint;
}

/** A record's encoding before and after its value. Made once for many records with the same. */
export interface RecordFrame {
  readonly before: Uint8Array;
  readonly after: Uint8Array;
}

/** Encodes what stands around a record's value. */
export function encodeFrame(meta: RecordMeta): RecordFrame {
  const before = new ByteWriter();
  if (meta.key.length > 0) before.u8(TAG.key).sized(meta.key);
  const after = new ByteWriter();
  for (const header of meta.headers) after.u8(TAG.header).sized(encodeHeader(header));
  if (meta.clientTimeUs !== undefined) {
    after.u8(TAG.clientTime).raw(encodeInt64(meta.clientTimeUs));
  }
  return { before: before.finish(), after: after.finish() };
}

function encodeHeader(header: HeaderParts): Uint8Array {
  const writer = new ByteWriter().u8(TAG.headerName).text(header.name);
  if (header.value.length > 0) writer.u8(TAG.headerValue).sized(header.value);
  return writer.finish();
}

/** A varint of 64 bits; a negative number takes all ten bytes. */
function encodeInt64(value: bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  while (rest >= 128n) {
    bytes.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}
