import type { Server } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";

/**
 * Deno 2.9 cannot hand an open socket to `node:http` (EPIPE). So there the HTTP/1.1
 * server listens on a loopback port of its own, and connections are piped to it.
 */
export class Http1Relay {
  readonly #server: Server;
  readonly #port: number;

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.#port = port;
  }

  static open(server: Server): Promise<Http1Relay> {
    return new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen(0, "127.0.0.1", () => {
        server.off("error", reject);
        resolve(new Http1Relay(server, (server.address() as AddressInfo).port));
      });
    });
  }

  accept(socket: Socket): void {
    const inner = connect(this.#port, "127.0.0.1");
    inner.on("error", () => socket.destroy());
    socket.once("close", () => inner.destroy());
    inner.once("close", () => socket.destroySoon());
    socket.pipe(inner);
    inner.pipe(socket);
  }

  /** Takes no more connections. */
  close(): void {
    this.#server.close();
  }
}
