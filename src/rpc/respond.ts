import type { UniversalServerResponse } from "@connectrpc/connect/protocol";
import type { HttpResponse } from "../platform/http-options.ts";
import type { AnswerShare } from "./answer-budget.ts";
import type { Call } from "./call.ts";
import type { LibraryErrors } from "./library-errors.ts";

/**
 * Writes an answer: asks for the next piece when the connection has taken the one
 * before, so that a reader who does not read costs one piece and what the
 * connection buffers.
 *
 * @param encode what each piece becomes on the wire, when it does not go out as it is
 */
export async function respond(
  call: Call,
  answer: UniversalServerResponse,
  response: HttpResponse,
  errors: LibraryErrors,
  encode?: (piece: Uint8Array) => Uint8Array,
): Promise<void> {
  const pieces = answer.body?.[Symbol.asyncIterator]();
  try {
    const sink = new Sink(call, response);
    let piece = await pieces?.next();
    let bytes = piece?.done === false ? errors.complete(call, answer, piece.value) : undefined;
    errors.completeStatus(call, answer.status);
    // Headers go out with the first piece: until then a handler may set some.
    sink.writeHead(answer.status, headersOf(answer.header));
    while (bytes !== undefined) {
      if (!(await sink.write(encode?.(bytes) ?? bytes))) return;
      piece = await pieces?.next();
      bytes = piece?.done === false ? errors.complete(call, answer, piece.value) : undefined;
    }
    if (answer.trailer !== undefined) {
      errors.completeTrailer(call, answer.trailer);
      sink.addTrailers(headersOf(answer.trailer));
    }
    call.answered();
    sink.end();
  } finally {
    // The generators behind it end; one that still waits is woken by the call's signal.
    pieces?.return?.().catch(() => {});
  }
}

/** A response as a place for pieces, one after the other. */
class Sink {
  readonly #response: HttpResponse;
  readonly #answers: AnswerShare | undefined;
  #isClosed = false;
  #wake: () => void = () => {};

  constructor(call: Call, response: HttpResponse) {
    this.#response = response;
    this.#answers = call.answers;
    call.whenOver(() => {
      this.#isClosed = true;
      this.#wake();
    });
    this.#response.on("drain", () => this.#wake());
    this.#response.on("error", () => {}); // the call ends by "close"
  }

  writeHead(status: number, headers: Record<string, string>): void {
    if (!this.#isClosed) this.#response.writeHead(status, headers);
  }

  addTrailers(trailers: Record<string, string>): void {
    this.#response.addTrailers(trailers);
  }

  end(): void {
    this.#response.end();
  }

  /** Resolves when there is room for more. @returns false when nobody takes it any more */
  async write(bytes: Uint8Array): Promise<boolean> {
    if (this.#isClosed) return false;
    if (this.#response.write(bytes)) return true;
    this.#answers?.wait();
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#answers?.giveBack();
    return !this.#isClosed;
  }
}

/** `connection` belongs to the listener: it knows what each runtime can bear. */
function headersOf(headers: Headers | undefined): Record<string, string> {
  const result: Record<string, string> = {};
  headers?.forEach((value, name) => {
    if (name !== "connection") result[name] = value;
  });
  return result;
}
