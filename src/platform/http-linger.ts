import type { Socket } from "node:net";
import type { Clock } from "../base/clock.ts";

/** How long a peer with nothing to receive may take to close its side, in milliseconds. */
export const IDLE_LINGER_MS = 200;
/** The same for one whose answer may still be on its way. */
export const ANSWERED_LINGER_MS = 2_000;

/**
 * Ends our side of a connection, and destroys it when the peer does not close its
 * own soon: a client that is asleep, or keeps its side open, must not hold up a stop.
 */
export function endGently(socket: Socket, clock: Clock, lingerMs: number): void {
  socket.end();
  destroyAfter(socket, clock, lingerMs);
}

/** Destroys `socket` after `lingerMs`, or later when bytes still wait to be written. */
export function destroyAfter(socket: Socket, clock: Clock, lingerMs: number): void {
  const cancel = clock.schedule(lingerMs, () => {
    socket.off("close", cancel);
    if (socket.writableLength > 0) destroyAfter(socket, clock, lingerMs);
    else socket.destroy();
  });
  socket.once("close", cancel);
}
