import { crc32 as zlibCrc32 } from "node:zlib";

/**
 * CRC-32 (ISO-HDLC, as in zip and PNG) of `bytes`, unsigned.
 *
 * @param seed CRC of the bytes before these; so `crc32(b, crc32(a))` is that of a and b joined.
 */
export function crc32(bytes: Uint8Array, seed = 0): number {
  return zlibCrc32(bytes, seed);
}
