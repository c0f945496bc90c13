import type { Clock } from "../../base/clock.ts";
import { ProglogError } from "../../base/errors.ts";
import type { Random } from "../../base/random.ts";
import { type HttpCall, openCall } from "../../platform/http-client.ts";
import type { ClientTls } from "../../platform/http-client-socket.ts";
import type { RaftEnvelope } from "../../raft/transport.ts";
import { GRPC_FIELDS, responseReader } from "./grpc-client.ts";
import { errorOfEnding, unreachableError } from "./peer-errors.ts";
import type { PeerLimits } from "./peer-limits.ts";
import { SendQueue } from "./send-queue.ts";

/** How often a stream is looked at, as a part of the time after which its peer is asked. */
const LOOKS_PER_PING = 4;

/** What all streams to peers share. */
export interface PeerHouse {
  readonly clock: Clock;
  readonly random: Random;
  /** Asked at each dial. Undefined: plaintext. */
  readonly clientTls: () => ClientTls | undefined;
  readonly limits: PeerLimits;
  /** Tells this process from others of the same server id. */
  readonly processNonce: bigint;
}

export interface PeerStreamOptions extends PeerHouse {
  /** Of the method. */
  readonly path: string;
  readonly queueBytesMax: number;
  readonly windowBytes: number;
  /** Where the peer is; undefined: nowhere, and nothing is kept for it. */
  readonly address: () => string | undefined;
  /** Encoded fields of the first request; undefined: nobody may be spoken to yet. */
  readonly greeting: () => Uint8Array | undefined;
  /** Encoded fields of a request for a sign of life. */
  readonly ping: () => Uint8Array;
  /** Takes an answer. @returns the bytes that it says were received. @throws when it is none */
  readonly onResponse: (message: Uint8Array) => number;
  /** The stream broke, or could not be opened. It will be tried again. */
  readonly onLost: (error: ProglogError) => void;
}

/**
 * A stream of ours to a peer: opened when something is to be sent, and from then on again whenever it broke.
 * What waits or is on its way then is lost.
 */
export class PeerStream {
  readonly #options: PeerStreamOptions;
  readonly #queue: SendQueue;
  #state: "idle" | "dialling" | "open" | "waiting" | "closed" = "idle";
  /** Gives up what this state waits for. */
  #leave: () => void = () => {};
  #dialCount = 0;
  /** Breaks since the peer was last heard of. */
  #lossCount = 0;
  #heardMs = 0;
  /** Looks since the peer was asked for a sign of life; 0: it need not answer. */
  #unansweredLooks = 0;

  constructor(options: PeerStreamOptions) {
    const { queueBytesMax, windowBytes } = options;
    this.#options = options;
    this.#queue = new SendQueue({ ...options.limits, queueBytesMax, windowBytes });
  }

  /** @returns false when it was dropped */
  send(envelope: RaftEnvelope): boolean {
    if (this.#state === "waiting" || this.#state === "closed") return false;
    if (this.#state === "idle" && !this.#dial()) return false;
    return this.#queue.add(envelope);
  }

  /** Begins, though there is nothing to send: to know whether the peer is there. */
  open(): void {
    if (this.#state === "idle") this.#dial();
  }

  close(): void {
    this.#rest("closed");
  }

  /** @returns false when there is nobody to be dialled */
  #dial(): boolean {
    const { address: findAddress, clientTls, greeting: greet, limits, path } = this.#options;
    const address = findAddress();
    const greeting = greet();
    if (address === undefined || greeting === undefined) {
      this.#rest("idle");
      return false;
    }
    const controller = new AbortController();
    this.#state = "dialling";
    this.#leave = () => controller.abort();
    const reader = responseReader(limits.responseBytesMax);
    const isCurrent = () => !controller.signal.aborted;
    openCall({
      ...this.#options,
      address,
      tls: clientTls(),
      path,
      fields: GRPC_FIELDS,
      attempt: this.#dialCount,
      timeoutMs: limits.dialTimeoutMs,
      signal: controller.signal,
      onData: (chunk) => {
        if (isCurrent()) this.#take(chunk, reader);
      },
      onEnd: (ending) => {
        if (isCurrent()) this.#lose(errorOfEnding(ending, address) ?? endedError(address));
      },
    }).then(
      (call) => {
        if (isCurrent()) this.#opened(call, greeting, controller);
        else call.destroy();
      },
      (cause: unknown) => {
        if (isCurrent()) this.#lose(unreachableError(address, cause));
      },
    );
    this.#dialCount += 1;
    return true;
  }

  #opened(call: HttpCall, greeting: Uint8Array, controller: AbortController): void {
    let cancelLook = () => {};
    const look = () => {
      this.#look();
      if (this.#state === "open") cancelLook = this.#after(this.#lookMs, look);
    };
    this.#state = "open";
    this.#leave = () => {
      cancelLook();
      controller.abort();
      call.destroy();
    };
    this.#heardMs = this.#options.clock.monotonicMs();
    this.#unansweredLooks = 1; // the greeting is to be answered
    cancelLook = this.#after(this.#lookMs, look);
    this.#queue.open((bytes) => call.write(bytes), greeting);
  }

  #take(chunk: Uint8Array, reader: ReturnType<typeof responseReader>): void {
    const messages: Uint8Array[] = [];
    const unreadable = reader.read(chunk, messages);
    try {
      for (const message of messages) {
        const receivedBytes = this.#options.onResponse(message);
        this.#heardMs = this.#options.clock.monotonicMs();
        this.#unansweredLooks = 0;
        this.#lossCount = 0;
        if (!this.#queue.received(receivedBytes)) throw nonsenseError();
      }
      if (unreadable !== undefined) throw unreadable;
    } catch (thrown) {
      this.#lose(thrown instanceof ProglogError ? thrown : nonsenseError());
    }
  }

  /**
   * Asks a silent peer for a sign of life, and gives it up when none comes. Looks are counted, not time: after
   * this process stood still there must be a chance to hear what came meanwhile.
   */
  #look(): void {
    const { address, clock, limits, ping } = this.#options;
    if (address() === undefined) {
      this.#rest("idle");
    } else if (this.#unansweredLooks > 0) {
      this.#unansweredLooks += 1;
      const silentMs = this.#unansweredLooks * this.#lookMs;
      if (silentMs > limits.pingTimeoutMs) this.#lose(silentError(limits));
    } else if (clock.monotonicMs() - this.#heardMs >= limits.pingIntervalMs) {
      this.#unansweredLooks = 1;
      this.#queue.ping(ping());
    }
  }

  #lose(error: ProglogError): void {
    const { backoffMsMax, backoffMsMin } = this.#options.limits;
    this.#rest("waiting");
    const backoffMs = Math.min(backoffMsMax, backoffMsMin * 2 ** this.#lossCount);
    this.#lossCount += 1;
    const part = this.#options.random.safeInteger() / Number.MAX_SAFE_INTEGER;
    this.#leave = this.#after(backoffMs * (1 - part / 2), () => this.#dial());
    this.#options.onLost(error);
  }

  #rest(state: "idle" | "waiting" | "closed"): void {
    if (this.#state === "closed") return;
    this.#state = state;
    const leave = this.#leave;
    this.#leave = () => {};
    this.#queue.close();
    leave();
  }

  get #lookMs(): number {
    return this.#options.limits.pingIntervalMs / LOOKS_PER_PING;
  }

  #after(delayMs: number, next: () => void): () => void {
    return this.#options.clock.schedule(delayMs, next);
  }
}

function endedError(address: string): ProglogError {
  return new ProglogError("SERVER_UNREACHABLE", `The server at ${address} ended the stream`, {
    metadata: { address },
  });
}

function nonsenseError(): ProglogError {
  return new ProglogError("PROTOCOL_UNKNOWN", "Cannot read what the peer answers");
}

function silentError({ pingTimeoutMs }: PeerLimits): ProglogError {
  return new ProglogError(
    "DEADLINE_EXCEEDED",
    `The peer gave no sign of life for ${pingTimeoutMs} ms`,
  );
}
