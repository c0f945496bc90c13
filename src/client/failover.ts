import type {
  DescMessage,
  DescMethodStreaming,
  DescMethodUnary,
  MessageInitShape,
} from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel as Idempotency } from "@bufbuild/protobuf/wkt";
import type { ContextValues, StreamResponse, Transport, UnaryResponse } from "@connectrpc/connect";
import { assert } from "../base/assert.ts";
import type { Reason } from "../base/reasons.ts";
import { type Failure, failureOf } from "./failure.ts";
import type { Connection } from "./transport.ts";

/** One server of several that can be called. */
export interface Place {
  /** As the user wrote it. */
  readonly name: string;
  readonly connection: Connection;
}

/** What a server says that another one may take better. */
const ELSEWHERE: ReadonlySet<Reason> = new Set<Reason>([
  "STARTING",
  "DRAINING",
  "NOT_LEADER",
  "NO_QUORUM",
  "DISK_FAILED",
]);

/**
 * Calls one of several servers: the next one in turn when one cannot be reached or stops. A call is
 * made again by itself only when nothing can have come of it, or when that does no harm; a stream
 * that breaks is its user's to begin again.
 */
export class Failover implements Transport {
  readonly #places: readonly Place[];
  #at = 0;

  /** @param places one at least */
  constructor(places: readonly Place[]) {
    this.#places = places;
  }

  /** The server that is called now. */
  get name(): string {
    return this.#place.name;
  }

  async unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    signal: AbortSignal | undefined,
    timeoutMs: number | undefined,
    header: Fields,
    input: MessageInitShape<I>,
    contextValues?: ContextValues,
  ): Promise<UnaryResponse<I, O>> {
    const isRepeatable = method.idempotency !== Idempotency.IDEMPOTENCY_UNKNOWN;
    // One that does not answer must leave time for the others.
    const tryMs = isRepeatable
      ? timeoutMs && Math.ceil(timeoutMs / this.#places.length)
      : timeoutMs;
    return await this.#inTurn(signal, isRepeatable, ({ transport }) =>
      transport.unary(method, signal, tryMs, header, input, contextValues),
    );
  }

  async stream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodStreaming<I, O>,
    signal: AbortSignal | undefined,
    timeoutMs: number | undefined,
    header: Fields,
    input: AsyncIterable<MessageInitShape<I>>,
    contextValues?: ContextValues,
  ): Promise<StreamResponse<I, O>> {
    const open = async (place: Place, messages: AsyncIterable<MessageInitShape<I>>) => {
      const { transport } = place.connection;
      const options = [header, messages, contextValues] as const;
      const opened = await transport.stream(method, signal, timeoutMs, ...options);
      return { ...opened, message: this.#watched(opened.message, place) };
    };
    if (method.methodKind !== "server_streaming") {
      const place = this.#place;
      try {
        return await open(place, input);
      } catch (thrown) {
        this.#leave(place, failureOf(thrown));
        throw thrown;
      }
    }
    const messages: MessageInitShape<I>[] = [];
    for await (const message of input) messages.push(message);
    return await this.#inTurn(signal, true, (_, place) => open(place, each(messages)));
  }

  close(): void {
    for (const { connection } of this.#places) connection.close();
  }

  get #place(): Place {
    const place = this.#places[this.#at % this.#places.length];
    assert(place !== undefined, "There is no server to call");
    return place;
  }

  async #inTurn<T>(
    signal: AbortSignal | undefined,
    isRepeatable: boolean,
    call: (connection: Connection, place: Place) => Promise<T>,
  ): Promise<T> {
    for (let left = this.#places.length; ; left -= 1) {
      const place = this.#place;
      try {
        return await call(place.connection, place);
      } catch (thrown) {
        const failure = failureOf(thrown);
        const mayMove = this.#leave(place, failure) && left > 1 && signal?.aborted !== true;
        if (!mayMove || !(isRepeatable || isUndone(failure))) throw thrown;
      }
    }
  }

  /** @returns whether another server may do better */
  #leave(place: Place, failure: Failure): boolean {
    const { isRetryable, reason } = failure;
    const mayMove = isRetryable && (reason === undefined || ELSEWHERE.has(reason));
    if (mayMove && place === this.#place) this.#at += 1;
    return mayMove;
  }

  async *#watched<T>(messages: AsyncIterable<T>, place: Place): AsyncGenerator<T> {
    try {
      yield* messages;
    } catch (thrown) {
      this.#leave(place, failureOf(thrown));
      throw thrown;
    }
  }
}

type Fields = Parameters<Transport["unary"]>[3];

/** Nothing has come of a call that failed so. */
function isUndone({ isUnsent, reason, metadata }: Failure): boolean {
  return isUnsent || (reason !== undefined && metadata["outcome"] !== "unknown");
}

async function* each<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}
