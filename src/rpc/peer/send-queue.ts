import { EMPTY_BYTES } from "../../base/bytes.ts";
import { atEndOfTurn } from "../../platform/end-of-turn.ts";
import type { RaftEnvelope } from "../../raft/transport.ts";
import { encodeRequest, type Outgoing, toOutgoing } from "./peer-encoder.ts";

export interface SendQueueOptions {
  /** Bytes that may wait. One message alone may be larger. */
  readonly queueBytesMax: number;
  /**
   * As long as fewer bytes are on their way, another message is sent: so it may be one message more. Larger
   * than what a receiver leaves unsaid.
   */
  readonly windowBytes: number;
  /** About the bytes of one request. */
  readonly requestBytesTarget: number;
  readonly requestMessagesMax: number;
}

/**
 * What waits for a peer, in order. All that is added in one turn of the event loop goes out in one request,
 * as soon as the stream is open and the peer has received enough of what was sent before: so what a peer
 * that reads nothing costs is bounded, whatever the runtime does with what it is given.
 */
export class SendQueue {
  readonly #options: SendQueueOptions;
  #waiting: Outgoing[] = [];
  /** How many of the above are sent. */
  #taken = 0;
  #waitingBytes = 0;
  #sentBytes = 0;
  #receivedBytes = 0;
  #write: ((bytes: Uint8Array) => void) | undefined;
  #isDue = false;

  constructor(options: SendQueueOptions) {
    this.#options = options;
  }

  /** @returns false when too much waits */
  add(envelope: RaftEnvelope): boolean {
    const message = toOutgoing(envelope);
    const bytes = this.#waitingBytes + message.sizedBytes;
    if (bytes > this.#options.queueBytesMax && this.#waitingBytes > 0) return false;
    this.#waiting.push(message);
    this.#waitingBytes = bytes;
    if (this.#write !== undefined && !this.#isDue) {
      this.#isDue = true;
      atEndOfTurn(this.#onTurn);
    }
    return true;
  }

  /** Begins to send by `write`: first a request with the fields of `greeting`, then what waits. */
  open(write: (bytes: Uint8Array) => void, greeting: Uint8Array): void {
    this.#write = write;
    this.#sentBytes = 0;
    this.#receivedBytes = 0;
    this.#send(greeting, []);
    this.#flush();
  }

  /** Asks the peer for a sign of life, by a request with no more than the fields of `head`. */
  ping(head: Uint8Array): void {
    this.#send(head, []);
  }

  /** @returns false when the peer cannot have received so many bytes in all */
  received(byteCount: number): boolean {
    if (byteCount < this.#receivedBytes || byteCount > this.#sentBytes) return false;
    this.#receivedBytes = byteCount;
    this.#flush();
    return true;
  }

  /** Drops what waits, and sends nothing until it is opened again. */
  close(): void {
    this.#write = undefined;
    this.#waiting = [];
    this.#taken = 0;
    this.#waitingBytes = 0;
  }

  readonly #onTurn = (): void => {
    this.#isDue = false;
    this.#flush();
  };

  #flush(): void {
    while (this.#write !== undefined && this.#taken < this.#waiting.length) {
      const end = this.#endOfNext();
      if (end === this.#taken) return;
      const messages = this.#waiting.slice(this.#taken, end);
      this.#taken = end;
      if (end === this.#waiting.length) {
        this.#waiting = [];
        this.#taken = 0;
      }
      this.#send(EMPTY_BYTES, messages);
    }
  }

  /** Where the next request ends among what waits; where it begins when it must wait. */
  #endOfNext(): number {
    const { requestBytesTarget, requestMessagesMax, windowBytes } = this.#options;
    const inFlight = this.#sentBytes - this.#receivedBytes;
    const countMax = Math.min(this.#waiting.length, this.#taken + requestMessagesMax);
    let bytes = 0;
    let end = this.#taken;
    for (; end < countMax; end += 1) {
      const next = bytes + (this.#waiting[end]?.sizedBytes ?? 0);
      if (bytes > 0 && next > requestBytesTarget) break;
      if (inFlight + bytes >= windowBytes) break;
      bytes = next;
    }
    this.#waitingBytes -= bytes;
    return end;
  }

  #send(head: Uint8Array, messages: readonly Outgoing[]): void {
    for (const piece of encodeRequest(head, messages)) {
      this.#sentBytes += piece.length;
      this.#write?.(piece);
    }
  }
}
