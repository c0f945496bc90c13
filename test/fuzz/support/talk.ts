import net from "node:net";
import { Duplex } from "node:stream";
import tls from "node:tls";

/** How a client leaves after all was sent. */
export const LEAVINGS = ["half-close", "reset", "destroy", "wait"] as const;
export type Leaving = (typeof LEAVINGS)[number];

export interface Manner {
  readonly leaving: Leaving;
  /** True to read nothing. */
  readonly isDeaf: boolean;
  /** Speak TLS, and in it this. */
  readonly alpn?: "h2" | "http/1.1" | undefined;
}

/** How long a client that waits does so, or one that has closed its half. */
const WAIT_MS = 10;

/** Sends `pieces`, each as a packet of its own, and leaves. Never fails, whatever the server does. */
export async function talk(
  port: number,
  pieces: readonly Uint8Array[],
  { leaving, isDeaf, alpn }: Manner,
): Promise<void> {
  const plain = net.connect({ host: "127.0.0.1", port, noDelay: true });
  const socket =
    alpn === undefined
      ? plain
      : tls.connect({ socket: veiled(plain), ALPNProtocols: [alpn], rejectUnauthorized: false });
  plain.on("error", () => {});
  socket.on("error", () => {});
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  if (!isDeaf) socket.resume();
  const opening = alpn === undefined ? "connect" : "secureConnect";
  await Promise.race([new Promise((resolve) => socket.once(opening, resolve)), closed]);
  for (const piece of pieces) {
    if (socket.destroyed) break;
    socket.write(piece);
    await turns();
  }
  if (leaving === "half-close") socket.end();
  if (leaving === "half-close" || leaving === "wait") {
    await Promise.race([new Promise((resolve) => setTimeout(resolve, WAIT_MS)), closed]);
  }
  if (leaving === "reset") plain.resetAndDestroy();
  socket.destroy();
  plain.destroy(); // it outlives a socket that does not know it
  await closed;
}

/** Turns of the event loop until a server in this process has read what was sent, by itself. */
const TURNS = 4;

async function turns(): Promise<void> {
  for (let turn = 0; turn < TURNS; turn += 1) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** A socket that TLS does not know as one: Node 24 crashes when a socket under TLS is reset. */
function veiled(socket: net.Socket): Duplex {
  return Duplex.from({ readable: socket, writable: socket });
}

/**
 * What the server answers to `pieces`, as `read` tells it.
 * @returns undefined when it closed the connection before that was whole
 */
export async function ask<Answer>(
  port: number,
  pieces: readonly Uint8Array[],
  read: (answer: Buffer) => Answer | undefined,
): Promise<Answer | undefined> {
  const socket = net.connect({ host: "127.0.0.1", port, noDelay: true });
  socket.on("error", () => {});
  let bytes = Buffer.alloc(0);
  let answer: Answer | undefined;
  const over = new Promise<void>((resolve) => {
    socket.once("close", () => resolve());
    socket.on("data", (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]);
      answer = read(bytes);
      if (answer !== undefined) resolve();
    });
  });
  for (const piece of pieces) {
    socket.write(piece);
    await turns();
  }
  await over;
  socket.destroy();
  return answer;
}
