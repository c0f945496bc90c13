import type { ConnectError } from "@connectrpc/connect";
import { atEndOfTurn } from "../../platform/end-of-turn.ts";
import { piecesOf, wholeBytesOfLast } from "./envelope.ts";
import type { Exchange } from "./exchange.ts";
import type { Encoded, LeanOutput } from "./lean-method.ts";
import { WAITING_BYTES_MAX } from "./sink.ts";

/**
 * The messages of a stream's answer, on their way out.
 *
 * When 16 KiB wait for the client, or a larger message, the handler waits until it has taken all.
 * What waits meanwhile counts in the budget of answers: the last message as its handler
 * holds it, once for all who send the same, everything else by its bytes.
 */
export class Output implements LeanOutput {
  readonly #exchange: Exchange;
  #messages: Encoded[] = [];
  #bytes = 0;
  #isScheduled = false;
  /** The connection said so, and has not said otherwise since. */
  #isFull = false;
  #wake: () => void = () => {};

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
    exchange.sink.onDrain(() => {
      this.#isFull = false;
      exchange.call.answers?.pend(0);
      this.#wake();
    });
    exchange.call.whenOver(() => this.#wake());
  }

  get isClosed(): boolean {
    return this.#exchange.isOver;
  }

  write(message: Encoded): boolean {
    if (this.isClosed) return false;
    this.#messages.push(message);
    this.#bytes += message.byteLength;
    // With what waits already: the handler then hears at once that its client is slow.
    if (this.#bytes + this.#exchange.sink.pendingBytes >= WAITING_BYTES_MAX) this.#flush();
    else if (!this.#isScheduled) {
      this.#isScheduled = true;
      atEndOfTurn(this.#onTurn);
    }
    return !this.#isFull;
  }

  async whenRoom(): Promise<void> {
    this.#flush();
    if (this.isClosed || !this.#isFull) return;
    const { answers } = this.#exchange.call;
    answers?.wait();
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    answers?.giveBack();
  }

  /** Ends the answer after what was written. */
  finish(error: ConnectError | undefined): void {
    this.#flush();
    this.#exchange.finish(error);
    this.#wake();
  }

  readonly #onTurn = (): void => {
    this.#isScheduled = false;
    this.#flush();
  };

  #flush(): void {
    if (this.#messages.length === 0) return;
    const messages = this.#messages;
    const bytes = this.#bytes;
    this.#messages = [];
    this.#bytes = 0;
    if (this.isClosed) return;
    this.#exchange.begin();
    const sent = sentOf(messages);
    for (const piece of piecesOf(messages, bytes)) {
      if (!this.#exchange.sink.write(piece, sent?.get(piece))) this.#isFull = true;
    }
    if (!this.#isFull) return;
    const { call, sink } = this.#exchange;
    call.answers?.pend(Math.max(0, sink.pendingBytes - wholeBytesOfLast(messages)));
  }
}

/** What is to be called when messages are out that go out in one piece, as they are. */
function sentOf(messages: readonly Encoded[]): Map<Uint8Array, () => void> | undefined {
  let sent: Map<Uint8Array, () => void> | undefined;
  for (const { enveloped, onSent } of messages) {
    if (enveloped === undefined || onSent === undefined) continue;
    sent ??= new Map();
    sent.set(enveloped, onSent);
  }
  return sent;
}
