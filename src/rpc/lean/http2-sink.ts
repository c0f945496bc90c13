import type { HttpStream } from "../../platform/http-options.ts";
import { resetStream } from "../../platform/http-reset.ts";
import type { Fields, Sink } from "./sink.ts";

const WITH_TRAILERS = { waitForTrailers: true } as const;
const END_STREAM = { endStream: true } as const;

/** A stream of HTTP/2 as a place for an answer. */
export class Http2Sink implements Sink {
  readonly #stream: HttpStream;
  #trailers: Fields = {};

  constructor(stream: HttpStream) {
    this.#stream = stream;
  }

  get isOpen(): boolean {
    return !this.#stream.closed && !this.#stream.destroyed;
  }

  get pendingBytes(): number {
    return this.#stream.writableLength;
  }

  begin(status: number, fields: Fields, hasTrailers: boolean): void {
    fields[":status"] = status;
    if (hasTrailers) {
      this.#stream.once("wantTrailers", () => this.#stream.sendTrailers(this.#trailers));
      this.#stream.respond(fields, WITH_TRAILERS);
    } else {
      this.#stream.respond(fields);
    }
  }

  only(status: number, fields: Fields): void {
    fields[":status"] = status;
    this.#stream.respond(fields, END_STREAM);
  }

  write(bytes: Uint8Array): boolean {
    return this.#stream.write(bytes);
  }

  end(bytes: Uint8Array | undefined, trailers?: Fields): void {
    if (trailers !== undefined) this.#trailers = trailers;
    if (bytes === undefined) this.#stream.end();
    else this.#stream.end(bytes);
  }

  onDrain(listener: () => void): void {
    this.#stream.on("drain", listener);
  }

  reset(): void {
    resetStream(this.#stream);
  }
}
