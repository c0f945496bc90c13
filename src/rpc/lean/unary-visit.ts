import type { ConnectError } from "@connectrpc/connect";
import type { HttpBody } from "../../platform/http-options.ts";
import type { Exchange } from "./exchange.ts";
import type { LeanHouse } from "./lean-house.ts";
import type { Encoded, LeanUnary } from "./lean-method.ts";
import { Visit } from "./visit.ts";

/** A call that sends one message and gets one. */
export class UnaryVisit extends Visit {
  readonly #method: LeanUnary;

  constructor(method: LeanUnary, exchange: Exchange, body: HttpBody, house: LeanHouse) {
    super(exchange, body, house);
    this.#method = method;
  }

  start(): void {
    this.readMessage("unary");
  }

  serve(message: Uint8Array): void {
    let answer: Encoded | Promise<Encoded>;
    try {
      answer = this.#method.answer(message, this.exchange);
    } catch (thrown) {
      this.#retry(message, thrown);
      return;
    }
    if (answer instanceof Promise) {
      answer.then(
        (found) => this.#succeed(found),
        (thrown: unknown) => this.#retry(message, thrown),
      );
    } else {
      this.#succeed(answer);
    }
  }

  end(error: ConnectError | undefined): void {
    this.exchange.finish(error);
  }

  #retry(message: Uint8Array, thrown: unknown): void {
    const answer = this.#method.retry?.(message, this.exchange, thrown);
    if (answer === undefined) {
      this.fail(thrown);
      return;
    }
    answer.then(
      (found) => this.#succeed(found),
      (again: unknown) => this.fail(again),
    );
  }

  #succeed(message: Encoded): void {
    this.guard(() => this.exchange.succeed(message));
  }
}
