import { ConnectError } from "@connectrpc/connect";
import { onAbort } from "../../base/abortable.ts";
import { ProglogError } from "../../base/errors.ts";
import { POOL_WINDOW_BYTES } from "../../platform/http-pool.ts";
import type { Call } from "../call.ts";
import { encodedOf } from "../lean/envelope.ts";
import type { LeanOutput } from "../lean/lean-method.ts";
import type { Hop } from "./hop.ts";
import { type HopErrand, HopFailure, hopError, isLateBySilence, toOutcome } from "./hop-failure.ts";
import type { HopStream } from "./hop-stream.ts";

/** What a relayed stream is about. */
export interface RelayOptions extends HopErrand {
  readonly call: Call;
  /** This server stops. */
  readonly draining: AbortSignal;
}

/**
 * A streaming call that another server serves for a client of ours. It exists from the first message
 * of the answer on: before it the call may still be made elsewhere.
 */
export class Relay {
  readonly #stream: HopStream;
  readonly #options: RelayOptions;
  #first: Uint8Array | undefined;
  /** How it ends although the other server says that all is well. */
  #ending: unknown;
  #leave = () => {};

  private constructor(stream: HopStream, first: Uint8Array | undefined, options: RelayOptions) {
    this.#stream = stream;
    this.#first = first;
    this.#options = options;
  }

  /**
   * Sends `message` and awaits the first one of the answer.
   * @param isWhole the client sends no more
   * @throws HopFailure; the other server's error as a ConnectError
   */
  static async open(
    hop: Hop,
    messages: readonly Uint8Array[],
    options: RelayOptions & { readonly isWhole: boolean },
  ): Promise<Relay> {
    const stream = await hop.stream(options.place, options.call);
    stream.send(messages);
    if (options.isWhole) stream.endSending();
    return new Relay(stream, await stream.next(), options);
  }

  /**
   * Sends what the client goes on to send, until this server stops. What was sent is still answered
   * then, and when the client's side ends with an error. Never rejects.
   */
  async feed(input: AsyncIterable<readonly Uint8Array[]>): Promise<void> {
    const stream = this.#stream;
    const { draining } = this.#options;
    this.#leave = onAbort(draining, () => {
      this.#ending ??= draining.reason;
      stream.endSending();
    });
    try {
      for await (const messages of input) {
        if (stream.isOver || draining.aborted) return;
        if (!stream.send(messages)) await stream.whenRoom();
      }
    } catch (thrown) {
      this.#ending ??= thrown;
    }
    stream.endSending();
  }

  /** Ends a stream that is only read when this server stops. */
  endWithDrain(): void {
    const { draining } = this.#options;
    this.#leave = onAbort(draining, () => {
      this.#ending = draining.reason;
      this.#stream.cancel();
    });
  }

  /** The next message; undefined at the end. @throws what the client is to be told */
  async next(): Promise<Uint8Array | undefined> {
    const first = this.#first;
    this.#first = undefined;
    if (first !== undefined) return first;
    const waiting = this.#stream.take();
    if (waiting !== undefined) return waiting;
    let message: Uint8Array | undefined;
    try {
      message = await this.#stream.next();
    } catch (thrown) {
      throw this.#toClientError(thrown);
    }
    if (message === undefined && this.#ending !== undefined) throw this.#ending;
    return message;
  }

  /** Leaves nothing behind; gives up what has not ended. */
  close(): void {
    this.#leave();
    this.#stream.cancel();
  }

  #toClientError(thrown: unknown): unknown {
    const { call, isWrite } = this.#options;
    if (thrown instanceof ConnectError) {
      call.failedWith(thrown, toOutcome(thrown));
      return thrown;
    }
    if (!(thrown instanceof HopFailure)) return thrown;
    const known = call.reason ?? this.#ending;
    if (known === undefined) return hopError(this.#options, thrown);
    if (!(known instanceof ProglogError)) return known;
    if (isLateBySilence(thrown, known)) return hopError(this.#options, thrown);
    if (!isWrite) return known;
    return new ProglogError(known.reason, known.message, {
      metadata: { ...known.metadata, outcome: "unknown" },
      cause: thrown,
    });
  }
}

/** Sends everything to a client of the lean path. */
export async function relayTo(output: LeanOutput, relay: Relay, { answers }: Call): Promise<void> {
  try {
    for (;;) {
      const message = await relay.next();
      if (message === undefined) return;
      const { length } = message;
      if (answers?.tryHold(length) === false) await answers.take(length);
      if (output.isClosed) return;
      if (output.write(encodedOf(message))) continue;
      answers?.hold(length + POOL_WINDOW_BYTES); // what comes meanwhile
      await output.whenRoom();
    }
  } finally {
    answers?.giveBack();
    relay.close();
  }
}
