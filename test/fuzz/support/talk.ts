import net from "node:net";

/** How a client leaves after all was sent. */
export const LEAVINGS = ["half-close", "reset", "destroy", "wait"] as const;
export type Leaving = (typeof LEAVINGS)[number];

/** How long a client that waits does so, or one that has closed its half. */
const WAIT_MS = 10;

/** Sends `pieces`, each as a packet of its own, and leaves. Never fails, whatever the server does. */
export async function talk(
  port: number,
  pieces: readonly Uint8Array[],
  { leaving, isDeaf }: { readonly leaving: Leaving; readonly isDeaf: boolean },
): Promise<void> {
  const socket = net.connect({ host: "127.0.0.1", port, noDelay: true });
  socket.on("error", () => {});
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  if (!isDeaf) socket.resume();
  await Promise.race([new Promise((resolve) => socket.once("connect", resolve)), closed]);
  for (const piece of pieces) {
    if (socket.destroyed) break;
    socket.write(piece);
    await new Promise((resolve) => setImmediate(resolve));
  }
  if (leaving === "half-close") socket.end();
  if (leaving === "half-close" || leaving === "wait") {
    await Promise.race([new Promise((resolve) => setTimeout(resolve, WAIT_MS)), closed]);
  }
  if (leaving === "reset") socket.resetAndDestroy();
  else socket.destroy();
  await closed;
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
    await new Promise((resolve) => setImmediate(resolve));
  }
  await over;
  socket.destroy();
  return answer;
}
