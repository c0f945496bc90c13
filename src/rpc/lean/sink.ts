import { KIB } from "../../base/units.ts";

/** Fields of an answer's header or trailer. */
export type Fields = Record<string, string | number | string[]>;

/**
 * What may wait for a client before its handler waits too; on HTTP/2 less than the stream's own
 * 64 KiB, which each of thousands of slow clients would have.
 */
export const WAITING_BYTES_MAX = 16 * KIB;

/** Where an answer goes: a stream of HTTP/2, or a response of HTTP/1.1. */
export interface Sink {
  /** False when nobody takes anything any more; then none of the following may be called. */
  readonly isOpen: boolean;
  /** Bytes that were written and wait for the client. */
  readonly pendingBytes: number;
  /** Sends the header. `fields` is the sink's from now on. */
  begin(status: number, fields: Fields, hasTrailers: boolean): void;
  /** Sends an answer that is a header only. */
  only(status: number, fields: Fields): void;
  /**
   * @param onSent may be called when `bytes` are needed no more
   * @returns false when the caller should wait for {@link onDrain}
   */
  write(bytes: Uint8Array, onSent?: () => void): boolean;
  /** @param trailers only after a `begin` that announced them */
  end(bytes: Uint8Array | undefined, trailers?: Fields): void;
  /** Calls `listener` whenever all that was written is on its way, after a `write` that said false. */
  onDrain(listener: () => void): void;
  /** Drops the answer. */
  reset(): void;
}
