import type { ConnectError } from "@connectrpc/connect";
import { atEndOfTurn } from "../../platform/end-of-turn.ts";
import { copiedBytes, piecesOf } from "./envelope.ts";
import type { Exchange } from "./exchange.ts";
import type { Encoded, LeanOutput } from "./lean-method.ts";

/** Messages that gather are written when they are so large together, or at the end of the turn. */
const GATHER_BYTES_MAX = 64 * 1024;

/** What may wait for a client before the handler is told to wait too; one message may be above it. */
const WAITING_BYTES_MAX = 256 * 1024;

/** The messages of a stream's answer, on their way out. */
export class Output implements LeanOutput {
  readonly #exchange: Exchange;
  #messages: Encoded[] = [];
  #bytes = 0;
  #isScheduled = false;
  /** The connection said so, and has not said otherwise since. */
  #isFull = false;
  /** Bytes that were copied for this client since it last had all. */
  #copiedBytes = 0;
  #wake: () => void = () => {};

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
    exchange.sink.onDrain(() => {
      this.#isFull = false;
      this.#copiedBytes = 0;
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
    if (this.#bytes >= GATHER_BYTES_MAX) this.#flush();
    else if (!this.#isScheduled) {
      this.#isScheduled = true;
      atEndOfTurn(this.#onTurn);
    }
    return this.#hasRoom();
  }

  async whenRoom(): Promise<void> {
    this.#flush();
    if (this.isClosed || this.#hasRoom()) return;
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

  #hasRoom(): boolean {
    return !this.#isFull || this.#exchange.sink.pendingBytes < WAITING_BYTES_MAX;
  }

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
    this.#copiedBytes += copiedBytes(messages);
    this.#exchange.call.answers?.pend(this.#copiedBytes);
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
