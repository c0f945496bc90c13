import type { Socket } from "node:net";
import type { Writable } from "node:stream";
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

type WriteCallback = (error?: Error | null) => void;
type Write = (chunk: unknown, encoding: BufferEncoding, callback: WriteCallback) => void;
type Writev = (chunks: unknown[], callback: WriteCallback) => void;
type Writes = { _write: Write; _writev: Writev };

/**
 * Has a stream of such a session learn in a later turn that bytes are gone. While Bun
 * handles bytes from JavaScript it tells so at once, and also of a stream that has just
 * been reset but does not know: whoever then writes until there is no room never ends.
 */
export function tellWritesLater(stream: Writable): void {
  const writes = stream as unknown as Writes;
  writes._write = writeAndTellLater;
  writes._writev = writevAndTellLater;
}

function writeAndTellLater(this: Writes, ...[chunk, encoding, callback]: Parameters<Write>): void {
  const own = Object.getPrototypeOf(this) as Writes;
  own._write.call(this, chunk, encoding, (error) => process.nextTick(callback, error));
}

function writevAndTellLater(this: Writes, ...[chunks, callback]: Parameters<Writev>): void {
  const own = Object.getPrototypeOf(this) as Writes;
  own._writev.call(this, chunks, (error) => process.nextTick(callback, error));
}
