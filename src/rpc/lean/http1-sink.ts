import type { Http1Response, HttpConnection, HttpHeaders } from "../../platform/http-options.ts";
import { resetAnswer } from "../../platform/http-reset.ts";
import type { Protocol } from "../call.ts";
import type { Arrival } from "../call-door.ts";
import type { Fields, Sink } from "./sink.ts";

/**
 * A request of HTTP/1.1 as a call that comes in, and its response as a place for the
 * answer. No dialect that is served so has trailers.
 */
export class Http1Sink implements Arrival, Sink {
  readonly protocol: Protocol;
  readonly headers: HttpHeaders;
  readonly connection: HttpConnection;
  readonly closing: Http1Response;

  constructor(
    response: Http1Response,
    { protocol, headers, connection }: Pick<Arrival, "protocol" | "headers" | "connection">,
  ) {
    this.protocol = protocol;
    this.headers = headers;
    this.connection = connection;
    this.closing = response;
    response.on("error", () => {}); // the call ends by "close"
  }

  get isOpen(): boolean {
    return !this.closing.destroyed;
  }

  get pendingBytes(): number {
    return this.closing.writableLength;
  }

  begin(status: number, fields: Fields): void {
    this.closing.writeHead(status, fields);
  }

  only(status: number, fields: Fields): void {
    this.closing.writeHead(status, fields);
    this.closing.end();
  }

  write(bytes: Uint8Array): boolean {
    return this.closing.write(bytes);
  }

  end(bytes: Uint8Array | undefined): void {
    if (bytes === undefined) this.closing.end();
    else this.closing.end(bytes);
  }

  onDrain(listener: () => void): void {
    this.closing.on("drain", listener);
  }

  reset(): void {
    resetAnswer(this.closing);
  }
}
