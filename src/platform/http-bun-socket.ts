import type { Socket } from "node:net";
import { WindowMend } from "./http-bun-window.ts";

const SETTINGS_ACK = Buffer.from([0, 0, 0, 4, 1, 0, 0, 0, 0]);

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
 * @param mayChange is asked whether the client may send SETTINGS again
 */
export function mendWindows(
  socket: Socket,
  openStreams: Iterable<number>,
  mayChange: () => boolean,
): void {
  const [read, ...others] = socket.listeners("data") as ((chunk: Buffer) => void)[];
  if (read === undefined || others.length > 0) return; // not the Bun that is known: leave it alone
  const mend = new WindowMend(
    read,
    openStreams,
    (settle) => acknowledgeFirst(socket, settle),
    mayChange,
  );
  socket.removeListener("data", read);
  socket.on("data", (chunk: Buffer) => mend.take(chunk));
}

/**
 * Sends the acknowledgement of SETTINGS before whatever else Bun writes while it minds
 * them. A client counts by its new windows from the acknowledgement on (RFC 9113, 6.5.3):
 * DATA before it would be over the old ones, for which gRPC's C core ends a stream.
 */
function acknowledgeFirst(socket: Socket, settle: () => void): void {
  const written: Uint8Array[] = [];
  const owner = socket as { write?: unknown };
  owner.write = (frames: Uint8Array): boolean => {
    written.push(frames);
    return true;
  };
  try {
    settle();
  } finally {
    delete owner.write; // the class's own again
  }
  for (const frames of written) if (isSettingsAck(frames)) socket.write(frames);
  for (const frames of written) if (!isSettingsAck(frames)) socket.write(frames);
}

/** Bun writes it by itself, not joined with other frames. */
function isSettingsAck(frames: Uint8Array): boolean {
  return frames.length === SETTINGS_ACK.length && SETTINGS_ACK.equals(frames);
}
