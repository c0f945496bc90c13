/**
 * Bytes to be filled and written to a connection, all of them: they are not zeroed. Node
 * would make a `Buffer` of any other array first. Small ones share memory, so this is
 * not for what is kept.
 */
export function socketBytes(byteLength: number): Uint8Array {
  return Buffer.allocUnsafe(byteLength);
}
