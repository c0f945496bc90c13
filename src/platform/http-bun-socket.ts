import type { Socket } from "node:net";
import { WindowMend } from "./http-bun-window.ts";

/** In place of a socket's native handle: true, as a handle is, but not one that can be read. */
const NO_HANDLE = {};

/**
 * Has Bun make an HTTP/2 session of `socket` by `makeSession` that reads from the
 * socket's `data` events. By itself it reads from the native handle below, where
 * nobody can mend what comes in.
 *
 * The session looks for a handle only while it is made; without one it writes
 * through the socket too. That costs a unary call nothing that can be measured, a
 * long answer about 10 us for 64 KiB.
 */
export function makeSessionWithoutHandle(socket: Socket, makeSession: () => void): void {
  const owner = socket as { _handle?: unknown };
  const handle = owner._handle;
  socket.pause(); // listeners for data would start a socket that has no handle
  owner._handle = NO_HANDLE;
  try {
    makeSession();
  } finally {
    owner._handle = handle;
  }
  socket.resume();
}

/**
 * Puts a `WindowMend` between `socket` and the session that was made of it.
 *
 * @param openStreams ids of the streams that are open now; Bun minds none that has just ended
 */
export function mendWindows(socket: Socket, openStreams: Iterable<number>): void {
  const [read, ...others] = socket.listeners("data") as ((chunk: Buffer) => void)[];
  if (read === undefined || others.length > 0) return; // not the Bun that is known: leave it alone
  const mend = new WindowMend(read, openStreams);
  socket.removeListener("data", read);
  socket.on("data", (chunk: Buffer) => mend.take(chunk));
}
