import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";

/**
 * Bytes that a connection and each of its streams may have under way to us.
 * HTTP/2's own 64 KiB would hold a far server to 64 KiB a round trip.
 */
const WINDOW_BYTES = 8 * 2 ** 20;

/** A silent connection is asked for a sign of life after this time. */
const PING_INTERVAL_MS = 30_000;
const PING_TIMEOUT_MS = 10_000;

export interface TransportOptions {
  /** Where the server is: `http://HOST:PORT` or `https://HOST:PORT`. */
  readonly url: string;
  /** CA of the server's certificate, PEM. Default: those the system trusts. */
  readonly ca?: string;
  /** Certificate and key by which the server knows us, PEM. */
  readonly certificate?: { readonly cert: string; readonly key: string };
}

/**
 * What Node's HTTP/2 may keep of one connection. Its default of 10 MB makes it reset
 * answers while several large batches are on their way.
 */
const SESSION_MEMORY_MIB = 1024;

/** A connection to one server, opened by the first call and again after it was lost. */
export interface Connection {
  readonly transport: Transport;
  close(): void;
}

/** Speaks gRPC over HTTP/2. */
export function connect(options: TransportOptions): Connection {
  const manager = new WideSessionManager(
    options.url,
    { pingIntervalMs: PING_INTERVAL_MS, pingTimeoutMs: PING_TIMEOUT_MS },
    {
      settings: { initialWindowSize: WINDOW_BYTES },
      maxSessionMemory: SESSION_MEMORY_MIB,
      ...(options.ca === undefined ? {} : { ca: options.ca }),
      ...options.certificate,
    },
  );
  const transport = createGrpcTransport({
    baseUrl: options.url,
    sessionManager: manager,
    // Batches are written once and read once: compressing them costs more than it saves here.
    acceptCompression: [],
  });
  return { transport, close: () => manager.abort() };
}

type Request = Http2SessionManager["request"];

/**
 * Adds two things to the library's connection: the connection's own window, for
 * which there is no setting, and an end to calls that it would wait on for ever.
 */
class WideSessionManager extends Http2SessionManager {
  readonly #widened = new WeakSet<object>();

  override async request(...call: Parameters<Request>): ReturnType<Request> {
    const stream = await super.request(...call);
    const { session } = stream;
    if (session !== undefined && !this.#widened.has(session)) {
      this.#widened.add(session);
      session.setLocalWindowSize(WINDOW_BYTES);
    }
    // A stream that closes without an error and without an answer (the server ended the
    // connection in good order) is no event to the library.
    let isAnswered = false;
    stream.once("response", () => {
      isAnswered = true;
    });
    stream.once("close", () => {
      if (isAnswered || stream.rstCode !== 0) return;
      stream.emit("error", new ConnectError("closed without an answer", Code.Unavailable));
    });
    return stream;
  }
}
