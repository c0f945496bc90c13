import type { Socket } from "node:net";

const FIRST_BYTES_OF_HTTP2 = "PRI ";

/**
 * Calls `found` when the first bytes of `socket` tell which protocol it speaks:
 * an HTTP/2 connection begins with `PRI `, and no method of HTTP/1.1 does. The
 * bytes are back in the socket then, and it flows only when the new owner reads.
 *
 * The bytes are gathered from `data` and put back once: on Bun, `readable` with
 * `unshift` loses them when the preface comes byte by byte.
 */
export function sniffProtocol(socket: Socket, found: (isHttp2: boolean) => void): void {
  let seen: Buffer = Buffer.alloc(0);
  const onData = (chunk: Buffer) => {
    seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk]);
    const count = Math.min(seen.length, FIRST_BYTES_OF_HTTP2.length);
    const isHttp2 = seen.toString("latin1", 0, count) === FIRST_BYTES_OF_HTTP2.slice(0, count);
    if (isHttp2 && count < FIRST_BYTES_OF_HTTP2.length) return; // "P" may still become POST
    socket.off("data", onData);
    socket.pause();
    socket.unshift(seen);
    found(isHttp2);
  };
  socket.on("data", onData);
}
