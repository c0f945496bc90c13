import type { Http1Response } from "../../platform/http-options.ts";
import { resetAnswer } from "../../platform/http-reset.ts";
import type { Fields, Sink } from "./sink.ts";

/** A response of HTTP/1.1 as a place for an answer. No dialect that is served so has trailers. */
export class Http1Sink implements Sink {
  readonly #response: Http1Response;

  constructor(response: Http1Response) {
    this.#response = response;
    response.on("error", () => {}); // the call ends by "close"
  }

  get isOpen(): boolean {
    return !this.#response.destroyed;
  }

  get pendingBytes(): number {
    return this.#response.writableLength;
  }

  begin(status: number, fields: Fields): void {
    this.#response.writeHead(status, fields);
  }

  only(status: number, fields: Fields): void {
    this.#response.writeHead(status, fields);
    this.#response.end();
  }

  write(bytes: Uint8Array): boolean {
    return this.#response.write(bytes);
  }

  end(bytes: Uint8Array | undefined): void {
    if (bytes === undefined) this.#response.end();
    else this.#response.end(bytes);
  }

  onDrain(listener: () => void): void {
    this.#response.on("drain", listener);
  }

  reset(): void {
    resetAnswer(this.#response);
  }
}
