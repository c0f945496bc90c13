import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  constants,
  type IncomingHttpHeaders,
} from "node:http2";
import { KIB, MIB } from "../base/units.ts";
import { openSession, writeOneByOne } from "./http-client-session.ts";
import type { DialOptions } from "./http-client-socket.ts";
import type { HttpHeaders } from "./http-options.ts";

/** What a stream may have under way to us: what comes is taken at once, or as its reader can. */
const STREAM_WINDOW_BYTES = MIB;
/** What is written in one piece, at most: Bun 1.4 copies a piece that it cannot send at once. */
const PIECE_BYTES = 256 * KIB;
/** What node:http2 may hold of one connection, in MiB: more than our callers let wait. */
const SESSION_MEMORY_MIB = 1024;

export interface HttpCallOptions extends DialOptions {
  readonly path: string;
  readonly fields: Readonly<Record<string, string>>;
  readonly onData: (chunk: Uint8Array) => void;
  /** The call is over, whoever ended it; called once, and nothing after it. */
  readonly onEnd: (ending: HttpEnding) => void;
}

export interface HttpEnding {
  /** Header and trailer of the answer, as far as they came. */
  readonly fields: HttpHeaders;
  /** Why there may be no whole answer. */
  readonly cause: unknown;
}

/**
 * One call over HTTP/2 on a connection of its own, plaintext with prior knowledge or TLS. Opened by
 * {@link openCall}.
 */
export class HttpCall {
  readonly #stream: ClientHttp2Stream;

  constructor(stream: ClientHttp2Stream) {
    this.#stream = stream;
  }

  /** Does nothing when the call is over. `bytes` must not be changed afterwards. */
  write(bytes: Uint8Array): void {
    if (this.#stream.destroyed || this.#stream.writableEnded) return;
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
      this.#stream.write(bytes.subarray(at, at + PIECE_BYTES));
    }
  }

  /** Nothing more is sent. */
  end(): void {
    if (!this.#stream.destroyed) this.#stream.end();
  }

  /** Nothing comes until {@link resume}, but for what is on its way. */
  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  /** Ends call and connection now. */
  destroy(): void {
    const { session } = this.#stream;
    this.#stream.close(constants.NGHTTP2_CANCEL);
    session?.destroy();
  }
}

/**
 * Dials and sends the header of a call.
 * @throws the platform's error when nobody answers
 */
export async function openCall(options: HttpCallOptions): Promise<HttpCall> {
  const session = await openSession({
    ...options,
    windowBytes: STREAM_WINDOW_BYTES,
    memoryMib: SESSION_MEMORY_MIB,
  });
  const stream = session.request(
    { ":method": "POST", ":path": options.path, ...options.fields },
    { endStream: false },
  );
  writeOneByOne(stream);
  watch(stream, session, options);
  return new HttpCall(stream);
}

function watch(
  stream: ClientHttp2Stream,
  session: ClientHttp2Session,
  { onData, onEnd }: HttpCallOptions,
): void {
  const fields: IncomingHttpHeaders = {};
  let cause: unknown;
  const take = (some: IncomingHttpHeaders) => Object.assign(fields, some);
  stream.on("response", take);
  stream.on("trailers", take);
  stream.on("data", onData);
  // The server has said all: that we have not need not hold the call open.
  stream.once("end", () => {
    if (!stream.closed) stream.close(constants.NGHTTP2_CANCEL);
  });
  stream.on("error", (thrown) => {
    cause = thrown;
  });
  session.on("error", (thrown) => {
    cause ??= thrown;
  });
  stream.once("close", () => {
    session.destroy();
    onEnd({ fields, cause });
  });
}
