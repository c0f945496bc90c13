import type { Clock } from "../../base/clock.ts";
import { drainHttp2 } from "../../platform/http-early-answer.ts";
import type { HttpConnection, HttpHeaders, HttpStream } from "../../platform/http-options.ts";
import { resetStream } from "../../platform/http-reset.ts";
import type { Protocol } from "../call.ts";
import type { Arrival } from "../call-door.ts";
import { type Fields, type Sink, WAITING_BYTES_MAX } from "./sink.ts";

const WITH_TRAILERS = { waitForTrailers: true } as const;
const END_STREAM = { endStream: true } as const;

/** A stream of HTTP/2 as a call that comes in, and as a place for its answer. */
export class Http2Sink implements Arrival, Sink {
  readonly protocol: Protocol;
  readonly headers: HttpHeaders;
  readonly connection: HttpConnection;
  readonly closing: HttpStream;
  readonly #clock: Clock;
  #trailers: Fields = {};
  #drained = () => {};

  constructor(
    stream: HttpStream,
    { protocol, headers, connection }: Pick<Arrival, "protocol" | "headers" | "connection">,
    clock: Clock,
  ) {
    this.protocol = protocol;
    this.headers = headers;
    this.connection = connection;
    this.closing = stream;
    this.#clock = clock;
  }

  get isOpen(): boolean {
    return !this.closing.closed && !this.closing.destroyed;
  }

  get pendingBytes(): number {
    return this.closing.writableLength;
  }

  begin(status: number, fields: Fields, hasTrailers: boolean): void {
    fields[":status"] = status;
    if (hasTrailers) {
      this.closing.on("wantTrailers", () => this.closing.sendTrailers(this.#trailers));
      this.closing.respond(fields, WITH_TRAILERS);
    } else {
      this.closing.respond(fields);
    }
  }

  only(status: number, fields: Fields): void {
    this.#drainRest();
    fields[":status"] = status;
    this.closing.respond(fields, END_STREAM);
  }

  write(bytes: Uint8Array, onSent?: () => void): boolean {
    const { closing } = this;
    const isQuick = closing.writableLength + bytes.length < WAITING_BYTES_MAX;
    if (isQuick && onSent === undefined) {
      closing.write(bytes);
      return true;
    }
    closing.write(bytes, (error) => {
      // After an error nobody knows whether they are still read.
      if (!error) onSent?.();
      if (closing.writableLength === 0) this.#drained();
    });
    return isQuick;
  }

  end(bytes: Uint8Array | undefined, trailers?: Fields): void {
    this.#drainRest();
    if (trailers !== undefined) this.#trailers = trailers;
    if (bytes === undefined) this.closing.end();
    else this.closing.end(bytes);
  }

  onDrain(listener: () => void): void {
    this.#drained = listener;
  }

  reset(): void {
    resetStream(this.closing);
  }

  /** An answer that is over before the request is. */
  #drainRest(): void {
    if (!this.closing.readableEnded) drainHttp2(this.closing, this.#clock);
  }
}
