import type { ConnectError } from "@connectrpc/connect";
import type { HttpBody } from "../../platform/http-options.ts";
import type { Exchange } from "./exchange.ts";
import { Inbox } from "./inbox.ts";
import type { LeanHouse } from "./lean-house.ts";
import type { LeanBidiStreaming, LeanServerStreaming } from "./lean-method.ts";
import { Output } from "./output.ts";
import { Visit } from "./visit.ts";

/** A call that gets a stream of messages. */
export abstract class StreamVisit extends Visit {
  readonly output: Output;

  constructor(exchange: Exchange, body: HttpBody, house: LeanHouse) {
    super(exchange, body, house);
    this.output = new Output(exchange);
  }

  end(error: ConnectError | undefined): void {
    this.output.finish(error);
  }

  /** The answer ends as `running` does. */
  follow(running: Promise<void>): void {
    running.then(
      () => this.finish(),
      (thrown: unknown) => this.fail(thrown),
    );
  }
}

/** A call that sends one message and gets a stream. */
export class ServerStreamVisit extends StreamVisit {
  readonly #method: LeanServerStreaming;

  constructor(method: LeanServerStreaming, exchange: Exchange, body: HttpBody, house: LeanHouse) {
    super(exchange, body, house);
    this.#method = method;
  }

  start(): void {
    this.readMessage("server-streaming");
  }

  serve(message: Uint8Array): void {
    this.follow(this.#method.run(message, this.output, this.exchange));
  }
}

/** A call that sends a stream and gets one. */
export class BidiVisit extends StreamVisit {
  readonly #method: LeanBidiStreaming;
  readonly #inbox: Inbox;

  constructor(method: LeanBidiStreaming, exchange: Exchange, body: HttpBody, house: LeanHouse) {
    super(exchange, body, house);
    this.#method = method;
    this.#inbox = new Inbox(body, exchange, house);
  }

  start(): void {
    this.#inbox.start();
    try {
      this.follow(this.#method.run(this.#inbox, this.output, this.exchange));
    } catch (thrown) {
      this.fail(thrown);
    }
  }

  /** Of no use: what comes goes to the inbox. */
  serve(): void {}

  override end(error: ConnectError | undefined): void {
    this.#inbox.stop();
    super.end(error);
  }
}
