import { GatheredBytes } from "./gathered-bytes.ts";
import { ENVELOPE_HEADER_BYTES, readLength } from "./lean/envelope.ts";

export interface JoinedBodyOptions {
  /** Messages stand in envelopes; without them the body is the message. */
  readonly hasEnvelopes: boolean;
  /** Bytes of the largest message. What must be larger is given out as it comes, to be refused. */
  readonly bytesMax: number;
  /** Told, when it asks for more, whether a message has begun that has not come whole. */
  readonly onAsk: (isBegun: boolean) => void;
}

/**
 * The pieces of a body joined to whole messages. The library keeps the pieces of a
 * message as they come, and adds up their lengths with each: a body of single bytes
 * would cost it a hundred times its size, and time by the square.
 */
export class JoinedBody implements AsyncIterableIterator<Uint8Array> {
  readonly #pieces: AsyncIterableIterator<Uint8Array>;
  readonly #options: JoinedBodyOptions;
  readonly #gathered = new GatheredBytes();
  /** So many bytes must be there before there is anything to give out. */
  #wantedBytes: number;

  constructor(pieces: AsyncIterableIterator<Uint8Array>, options: JoinedBodyOptions) {
    this.#pieces = pieces;
    this.#options = options;
    this.#wantedBytes = options.hasEnvelopes ? ENVELOPE_HEADER_BYTES : options.bytesMax + 1;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    for (;;) {
      this.#options.onAsk(this.#gathered.length > 0);
      const piece = await this.#pieces.next();
      if (piece.done === true) {
        const rest = this.#gathered.take();
        return rest.length > 0 ? { done: false, value: rest } : piece;
      }
      const ready = this.#join(piece.value);
      if (ready !== undefined) return { done: false, value: ready };
    }
  }

  async return(): Promise<IteratorResult<Uint8Array, undefined>> {
    await this.#pieces.return?.();
    return { done: true, value: undefined };
  }

  /** @returns what can be given out now that `piece` is there */
  #join(piece: Uint8Array): Uint8Array | undefined {
    const gathered = this.#gathered;
    if (gathered.length + piece.length < this.#wantedBytes) {
      gathered.add(piece, this.#wantedBytes);
      return undefined;
    }
    let bytes = piece;
    if (gathered.length > 0) {
      gathered.add(piece, this.#wantedBytes);
      bytes = gathered.take();
    }
    const end = this.#options.hasEnvelopes ? this.#endOfWhole(bytes) : bytes.length;
    if (end < bytes.length) gathered.add(bytes.subarray(end), this.#wantedBytes);
    return end > 0 ? bytes.subarray(0, end) : undefined;
  }

  /** Where the envelopes in `bytes` end that are whole; sees to what is wanted then. */
  #endOfWhole(bytes: Uint8Array): number {
    this.#wantedBytes = ENVELOPE_HEADER_BYTES;
    let at = 0;
    while (bytes.length - at >= ENVELOPE_HEADER_BYTES) {
      const byteLength = readLength(bytes, at);
      if (byteLength > this.#options.bytesMax) return bytes.length;
      const end = at + ENVELOPE_HEADER_BYTES + byteLength;
      if (end > bytes.length) {
        this.#wantedBytes = ENVELOPE_HEADER_BYTES + byteLength;
        break;
      }
      at = end;
    }
    return at;
  }
}
