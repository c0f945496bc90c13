import { type ClientHttp2Session, connect } from "node:http2";
import { type DialOptions, dial } from "./http-client-socket.ts";
import { IS_BUN } from "./http-runtime.ts";

export interface SessionOptions extends DialOptions {
  /** Bytes of one stream that may be under way to us, and wait for who reads it. */
  readonly windowBytes: number;
  /** What node:http2 may hold of the connection: more than its user lets wait. */
  readonly memoryMib: number;
}

/**
 * Dials, and begins HTTP/2: plaintext with prior knowledge, or TLS.
 *
 * Resolves when the server's SETTINGS are there. A stream that is opened before them has its window
 * changed by them, which Bun 1.4 does wrong (docs/adr/0008-windows-on-bun.md).
 *
 * @throws the platform's error when nobody answers
 */
export async function openSession(options: SessionOptions): Promise<ClientHttp2Session> {
  const { address, clock, memoryMib, signal, timeoutMs, tls, windowBytes } = options;
  const socket = await dial(options);
  return await new Promise<ClientHttp2Session>((resolve, reject) => {
    const session = connect(`${tls === undefined ? "http" : "https"}://${address}`, {
      createConnection: () => socket,
      maxSessionMemory: memoryMib,
      settings: { initialWindowSize: windowBytes, enablePush: false },
    });
    const settle = (cause: unknown) => {
      cancel();
      signal.removeEventListener("abort", giveUp);
      session.off("close", onClose);
      if (cause === undefined) {
        resolve(session);
        return;
      }
      session.destroy();
      socket.destroy();
      reject(cause);
    };
    let failure: unknown = new Error("The connection was closed before HTTP/2 began");
    const onClose = () => settle(failure);
    const giveUp = () => settle(signal.reason);
    const cancel = clock.schedule(timeoutMs, () =>
      settle(new Error(`No HTTP/2 within ${timeoutMs} ms`)),
    );
    signal.addEventListener("abort", giveUp);
    session.on("error", (cause) => {
      failure = cause; // "close" follows
    });
    session.once("close", onClose);
    session.once("remoteSettings", () => settle(undefined));
  });
}

/**
 * Bun 1.4 joins all that waits before it copies it to be sent. Piece by piece, a call with 64 KiB messages
 * costs 0.6 of that.
 */
export function writeOneByOne(stream: object): void {
  if (IS_BUN) (stream as { _writev?: unknown })._writev = undefined;
}
