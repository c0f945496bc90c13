import { ProglogError } from "../../base/errors.ts";
import type { HttpBody } from "../../platform/http-options.ts";
import { silentError } from "../body-source.ts";
import type { Call } from "../call.ts";
import { compressedError } from "../library-errors.ts";
import type { Exchange } from "./exchange.ts";
import type { LeanHouse } from "./lean-house.ts";
import { BareMessage, EnvelopedMessage, type OneMessage } from "./one-message.ts";
import type { Silence } from "./silence-watch.ts";

export interface BodyOptions {
  readonly exchange: Exchange;
  readonly house: LeanHouse;
  /** In the words of the library's errors. */
  readonly kind: "unary" | "server-streaming";
}

/** Told of a body: exactly one of the two is called, once; none when the client gives up. */
export interface BodyListener {
  onMessage(message: Uint8Array): void;
  onBadBody(error: ProglogError): void;
}

/**
 * The body of a call that sends one message. What it promises is checked before it is
 * gathered, so that no more is held than the message may have.
 */
export class WholeBody implements Silence {
  dueMs = 0;
  readonly #body: HttpBody;
  readonly #options: BodyOptions;
  readonly #call: Call;
  readonly #house: LeanHouse;
  readonly #listener: BodyListener;
  /** Undefined when nothing more is to be read. */
  #message: OneMessage | undefined;

  constructor(body: HttpBody, options: BodyOptions, listener: BodyListener) {
    this.#body = body;
    this.#options = options;
    this.#call = options.exchange.call;
    this.#house = options.house;
    this.#listener = listener;
  }

  /** Begins to read. */
  start(): void {
    const { exchange, house, kind } = this.#options;
    const { call, dialect } = exchange;
    const { errors, limits } = house;
    const { requestBytesMax } = limits;
    if (dialect.hasEnvelopes) {
      const { endFlag } = dialect;
      const compressed = () => compressedError(errors, call);
      this.#message = new EnvelopedMessage({ endFlag, requestBytesMax, compressed }, kind);
    } else {
      const message = new BareMessage(call, requestBytesMax);
      const error = message.check();
      if (error !== undefined) {
        this.#listener.onBadBody(error);
        return;
      }
      this.#message = message;
    }
    this.#body.on("data", this.#onData);
    this.#body.on("end", this.#onEnd);
    house.silence.watch(this);
    call.whenOver(this.#leave);
  }

  /** Nothing came for too long. */
  expire(): void {
    this.fail(silentError(this.#house.limits.bodyTimeoutMs));
  }

  /** Gives up, and fails with `error`. */
  fail(error: ProglogError): void {
    if (this.#message === undefined) return;
    this.#leave();
    // What still comes is the connection's to drop.
    this.#body.off("data", this.#onData);
    this.#call.releaseBody();
    this.#listener.onBadBody(error);
  }

  readonly #leave = (): void => {
    if (this.#message === undefined) return;
    this.#message = undefined;
    this.#house.silence.leave(this);
  };

  readonly #onData = (chunk: Uint8Array): void => {
    if (this.#message === undefined) return;
    this.#house.silence.touch(this);
    const error = this.#call.received(chunk.length) ?? this.#message.read(chunk);
    if (error !== undefined) this.fail(error);
  };

  readonly #onEnd = (): void => {
    if (this.#message === undefined || isCut(this.#body)) return;
    const message = this.#message.finish();
    if (message instanceof ProglogError) {
      this.fail(message);
      return;
    }
    this.#leave();
    this.#listener.onMessage(message);
  };
}

/** A body that the client broke off ends too, on HTTP/2. */
export function isCut(body: HttpBody): boolean {
  return body.aborted === true || body.destroyed || (body.rstCode ?? 0) !== 0;
}
