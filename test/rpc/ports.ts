import http from "node:http";
import http2 from "node:http2";
import net from "node:net";
import type { TestContext } from "node:test";
import { SILENT_LOGGER } from "../../src/base/log.ts";
import { listen } from "../../src/platform/http-listener.ts";
import type { Listener, ListenOptions, RequestHandler } from "../../src/platform/http-options.ts";
import { SystemClock } from "../../src/platform/system-clock.ts";

/** Opens a port for one test and closes it afterwards. */
export async function openPort(
  t: TestContext,
  onRequest: RequestHandler,
  options: Partial<ListenOptions> = {},
): Promise<Listener> {
  const listener = await listen({
    host: "127.0.0.1",
    port: 0,
    onRequest,
    clock: new SystemClock(),
    logger: SILENT_LOGGER,
    ...options,
  });
  t.after(() => listener.close(0));
  return listener;
}

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

/** One HTTP/1.1 request on a connection of `agent`, or on one of its own. */
export function request(
  port: number,
  path: string,
  options: http.RequestOptions & { readonly body?: string | Uint8Array } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { body, ...rest } = options;
    const sent = http.request({ host: "127.0.0.1", port, path, agent: false, ...rest }, (found) => {
      const chunks: Buffer[] = [];
      found.on("data", (chunk: Buffer) => chunks.push(chunk));
      found.on("end", () =>
        resolve({
          status: found.statusCode ?? 0,
          headers: found.headers,
          body: Buffer.concat(chunks).toString(),
        }),
      );
      found.on("error", reject);
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

/** What a client may hold for large requests that were answered early, in MiB. */
const CLIENT_MEMORY_MIB = 256;

/** An HTTP/2 connection that is closed after the test; the server's SETTINGS are known. */
export async function connect2(
  t: TestContext,
  port: number,
  options: http2.ClientSessionOptions | http2.SecureClientSessionOptions = {},
  scheme = "http",
): Promise<http2.ClientHttp2Session> {
  const session = http2.connect(`${scheme}://127.0.0.1:${port}`, {
    maxSessionMemory: CLIENT_MEMORY_MIB,
    ...options,
  });
  t.after(() => session.destroy());
  await new Promise<void>((resolve, reject) => {
    session.once("remoteSettings", () => resolve());
    session.once("error", reject);
  });
  session.on("error", () => {});
  return session;
}

/** One request on an HTTP/2 connection; `status` is 0 when the stream ended without an answer. */
export function request2(
  session: http2.ClientHttp2Session,
  headers: http2.OutgoingHttpHeaders,
  body?: string | Uint8Array,
): Promise<Answer & { readonly trailers: http.IncomingHttpHeaders; readonly rstCode: number }> {
  return new Promise((resolve) => {
    const stream = session.request(headers, { endStream: body === undefined });
    const chunks: Buffer[] = [];
    let answer: http2.IncomingHttpHeaders = {};
    let trailers: http.IncomingHttpHeaders = {};
    stream.on("response", (found) => {
      answer = found;
    });
    stream.on("trailers", (found) => {
      trailers = found;
    });
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("error", () => {});
    stream.on("close", () =>
      resolve({
        status: Number(answer[":status"] ?? 0),
        headers: answer,
        trailers,
        body: Buffer.concat(chunks).toString(),
        rstCode: stream.rstCode ?? 0,
      }),
    );
    if (body !== undefined) stream.end(body);
  });
}

/** Opens so many streams at once, and when all are answered reads one after the other. */
export async function bodiesInTurn(
  session: http2.ClientHttp2Session,
  count: number,
): Promise<readonly Buffer[]> {
  const streams = await Promise.all(
    Array.from({ length: count }, async () => {
      const stream = session.request({ ":path": "/" });
      await new Promise((resolve) => stream.once("response", resolve));
      return stream;
    }),
  );
  const bodies: Buffer[] = [];
  for (const stream of streams) {
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    bodies.push(Buffer.concat(chunks));
  }
  return bodies;
}

/** A bare TCP connection: what it received, and whether the server has closed it. */
export class RawConnection {
  readonly socket: net.Socket;
  readonly closed: Promise<void>;
  #received = "";

  private constructor(socket: net.Socket) {
    this.socket = socket;
    socket.on("data", (chunk: Buffer) => {
      this.#received += chunk.toString("latin1");
    });
    socket.on("error", () => {});
    this.closed = new Promise((resolve) => socket.once("close", () => resolve()));
  }

  static async open(t: TestContext, port: number): Promise<RawConnection> {
    const socket = net.connect(port, "127.0.0.1");
    t.after(() => socket.destroy());
    const connection = new RawConnection(socket);
    await new Promise<void>((resolve) => socket.once("connect", () => resolve()));
    return connection;
  }

  get received(): string {
    return this.#received;
  }

  /** Sends `text` a byte at a time, each in a packet of its own. */
  async writeSlowly(text: string): Promise<void> {
    this.socket.setNoDelay(true);
    for (const byte of Buffer.from(text, "latin1")) {
      this.socket.write(Uint8Array.of(byte));
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  /** Resolves when the connection has received `text`. */
  receives(text: string): Promise<void> {
    return this.receivesAnyOf([text]);
  }

  async receivesAnyOf(texts: readonly string[]): Promise<void> {
    while (!texts.some((text) => this.#received.includes(text))) {
      if (this.socket.destroyed) throw new Error(`Closed after: ${this.#received}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}
