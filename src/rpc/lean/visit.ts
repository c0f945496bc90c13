import type { ConnectError } from "@connectrpc/connect";
import type { ProglogError } from "../../base/errors.ts";
import type { HttpBody } from "../../platform/http-options.ts";
import type { Exchange } from "./exchange.ts";
import { toWireError } from "./failure.ts";
import type { LeanHouse } from "./lean-house.ts";
import { type BodyListener, WholeBody } from "./whole-body.ts";

/** From a deadline to the end of the call: time for the handler to say itself what came of it. */
const DEADLINE_GRACE_MS = 5;

/** One call on the lean path, from the door to its end. The kinds of methods differ in what they serve. */
export abstract class Visit implements BodyListener {
  readonly exchange: Exchange;
  readonly body: HttpBody;
  readonly house: LeanHouse;

  constructor(exchange: Exchange, body: HttpBody, house: LeanHouse) {
    this.exchange = exchange;
    this.body = body;
    this.house = house;
  }

  /** Begins to read and to serve. */
  abstract start(): void;

  /** The one message of the request. May throw. */
  abstract serve(message: Uint8Array): void;

  /** Ends the answer. May throw. */
  abstract end(error: ConnectError | undefined): void;

  /** Call once: serves the call when it is let in. */
  begin(): void {
    const { admission } = this.exchange.call;
    if (admission === undefined) this.#admitted();
    else void admission.then(() => this.#admitted());
  }

  onMessage(message: Uint8Array): void {
    if (this.exchange.call.aborted) return;
    try {
      this.serve(message);
    } catch (thrown) {
      this.fail(thrown);
    }
  }

  onBadBody(error: ProglogError): void {
    this.fail(error);
  }

  /** Ends the answer; does nothing when it has ended. */
  finish(error?: ConnectError): void {
    try {
      this.end(error);
    } catch (thrown) {
      this.#giveUp(thrown);
    }
  }

  fail(thrown: unknown): void {
    this.finish(toWireError(thrown, this.exchange.call, this.house.errors));
  }

  /** Reads the one message that the client sends, and serves it. */
  readMessage(kind: "unary" | "server-streaming"): void {
    const { exchange, house } = this;
    new WholeBody(this.body, { exchange, house, kind }, this).start();
  }

  /** Runs `write`, which writes what may not be written, such as fields that no header can hold. */
  guard(write: () => void): void {
    try {
      write();
    } catch (thrown) {
      this.#giveUp(thrown);
    }
  }

  #admitted(): void {
    const { call } = this.exchange;
    const refusal = call.refusal ?? call.reason;
    if (refusal !== undefined) {
      this.fail(refusal);
      return;
    }
    if (call.deadlineMs !== undefined) call.whenAborted(() => this.#endLate());
    this.start();
  }

  /** The handler was told; what it does not say now is not awaited. */
  #endLate(): void {
    const { exchange, house } = this;
    if (exchange.isOver) return;
    house.clock.schedule(DEADLINE_GRACE_MS, () => {
      if (!exchange.isOver) this.fail(exchange.call.reason);
    });
  }

  #giveUp(thrown: unknown): void {
    const { call, sink } = this.exchange;
    this.house.logger.warn("An answer could not be written", { method: call.method }, thrown);
    if (sink.isOpen) sink.reset();
  }
}
