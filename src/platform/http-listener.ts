import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import {
  createServer as createTlsServer,
  type TLSSocket,
  type Server as TlsServer,
} from "node:tls";
import {
  LISTEN_LIMITS,
  type Listener,
  type ListenLimits,
  type ListenOptions,
  type TlsMaterial,
} from "./http-options.ts";
import { Http1Relay } from "./http-relay.ts";
import { IS_BUN, IS_DENO } from "./http-runtime.ts";
import { sniffProtocol } from "./http-sniff.ts";
import { Http1Connections } from "./http-v1-connections.ts";
import { Http2Sessions } from "./http-v2-sessions.ts";

/** Keeps dead peers of HTTP/1.1 from holding a connection for ever; HTTP/2 has PING. */
const TCP_KEEP_ALIVE_MS = 60_000;
/** What forced closing may take; then whoever waits is told anyway. */
const FORCED_CLOSE_MS = 200;
/** So many refused connections are one line of log. */
const REFUSALS_PER_LINE = 1000;

/**
 * Opens one port that speaks HTTP/1.1 and HTTP/2, in plaintext (the first bytes
 * tell which) or in TLS (ALPN tells which).
 *
 * @throws the platform's error when the port cannot be bound or a certificate is bad.
 */
export async function listen(options: ListenOptions): Promise<Listener> {
  const port = new Port(options);
  await port.open();
  return port;
}

class Port implements Listener {
  readonly #options: ListenOptions;
  readonly #limits: ListenLimits;
  readonly #server: Server;
  readonly #tlsServer: TlsServer | undefined;
  readonly #http1: Http1Connections;
  readonly #http2: Http2Sessions;
  readonly #sockets = new Set<Socket>();
  /** Connections of which nothing is known yet, with the time at which patience ends. */
  readonly #unknown = new Map<Socket, number>();
  /** TLS handshakes by their peers: a secure socket does not tell which bare one it is on. */
  readonly #bareSockets = new Map<string, Socket>();
  #relay: Http1Relay | undefined;
  #port = 0;
  #refusals = 0;
  #stopScan = () => {};

  constructor(options: ListenOptions) {
    this.#options = options;
    this.#limits = { ...LISTEN_LIMITS, ...options.limits };
    this.#http1 = new Http1Connections(options, this.#limits);
    this.#http2 = new Http2Sessions(options, this.#limits);
    if (options.tls === undefined) {
      this.#server = createServer({ noDelay: true });
      this.#server.on("connection", (socket: Socket) => this.#acceptPlain(socket));
    } else {
      this.#tlsServer = createTlsServer({
        ...tlsOptions(options.tls),
        ALPNProtocols: ["h2", "http/1.1"],
        handshakeTimeout: this.#limits.headerTimeoutMs,
        noDelay: true,
      });
      this.#server = this.#tlsServer;
      this.#tlsServer.on("connection", (socket: Socket) => this.#acceptTls(socket));
      this.#tlsServer.on("secureConnection", (socket) => this.#acceptSecure(socket));
      // After a time-out of the handshake nobody else closes it.
      this.#tlsServer.on("tlsClientError", (_error, socket) => socket.destroy());
    }
  }

  get port(): number {
    return this.#port;
  }

  get connectionCount(): number {
    return this.#sockets.size;
  }

  async open(): Promise<void> {
    const { host, port, tls } = this.#options;
    if (IS_DENO && tls === undefined) this.#relay = await Http1Relay.open(this.#http1.server);
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen({ port, host }, () => {
        this.#server.off("error", reject);
        resolve();
      });
    });
    this.#port = (this.#server.address() as AddressInfo).port;
    this.#scheduleScan();
  }

  reloadTls(material: TlsMaterial): void {
    if (this.#tlsServer === undefined) throw new Error("Cannot reload TLS: the port is plaintext");
    this.#tlsServer.setSecureContext(tlsOptions(material));
  }

  async close(graceMs: number): Promise<void> {
    const { clock } = this.#options;
    const force = Promise.withResolvers<void>();
    const cancelForce = clock.schedule(graceMs, force.resolve);
    // As long as calls are under way, who asks whether the server is ready must be told that it is not.
    this.#leaveConnections();
    await Promise.race([this.#closed(), force.promise]);
    this.#server.close();
    this.#relay?.close();
    this.#leaveConnections();
    const destroyed = force.promise.then(() => this.#destroy());
    while (this.#sockets.size > 0) {
      const isForced = await Promise.race([this.#closed(), destroyed]);
      if (isForced === true) break;
    }
    cancelForce();
    this.#stopScan();
  }

  /** Closes idle connections now, and those with calls after their answers. */
  #leaveConnections(): void {
    this.#http1.close();
    this.#http2.close();
    for (const socket of this.#unknown.keys()) socket.destroy();
  }

  /** Resolves when all connections that are open now are closed. */
  async #closed(): Promise<void> {
    await Promise.all(
      [...this.#sockets].map((socket) => new Promise((resolve) => socket.once("close", resolve))),
    );
  }

  /** @returns true when whoever waits need not wait longer */
  async #destroy(): Promise<true> {
    this.#http2.destroy();
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => {
      this.#options.clock.schedule(FORCED_CLOSE_MS, resolve);
    });
    return true;
  }

  #acceptPlain(socket: Socket): void {
    if (!this.#track(socket)) return;
    const { clock } = this.#options;
    this.#unknown.set(socket, clock.monotonicMs() + this.#limits.headerTimeoutMs);
    sniffProtocol(socket, (isHttp2) => this.#dispatch(socket, isHttp2));
  }

  #acceptTls(socket: Socket): void {
    if (!this.#track(socket)) return;
    const dueMs = this.#options.clock.monotonicMs() + this.#limits.headerTimeoutMs;
    this.#unknown.set(socket, dueMs);
    const peer = peerOf(socket);
    this.#bareSockets.set(peer, socket);
    socket.once("close", () => {
      if (this.#bareSockets.get(peer) === socket) this.#bareSockets.delete(peer);
    });
  }

  #acceptSecure(socket: TLSSocket): void {
    const peer = peerOf(socket);
    const bare = this.#bareSockets.get(peer);
    if (bare !== undefined) this.#unknown.delete(bare);
    this.#bareSockets.delete(peer);
    socket.on("error", () => {}); // "close" follows
    if (socket.alpnProtocol === "h2") this.#http2.accept(socket);
    else this.#http1.accept(socket);
  }

  #dispatch(socket: Socket, isHttp2: boolean): void {
    this.#unknown.delete(socket);
    if (isHttp2) this.#http2.accept(socket);
    else if (this.#relay !== undefined) this.#relay.accept(socket);
    else this.#http1.accept(socket);
    // On Node, node:http2 reads what was put back by itself; resuming would race with it.
    if (IS_BUN || !isHttp2) socket.resume();
  }

  /** @returns false when there are too many connections; then it is closed already. */
  #track(socket: Socket): boolean {
    socket.on("error", () => {}); // "close" follows
    if (this.#sockets.size >= this.#limits.connectionsMax) {
      if (this.#refusals % REFUSALS_PER_LINE === 0) {
        this.#options.logger.warn("Refused a connection: as many are open as may be", {
          connectionsMax: this.#limits.connectionsMax,
          refusals: this.#refusals + 1,
        });
      }
      this.#refusals += 1;
      socket.destroy();
      return false;
    }
    this.#sockets.add(socket);
    socket.setKeepAlive(true, TCP_KEEP_ALIVE_MS);
    socket.once("close", () => {
      this.#sockets.delete(socket);
      this.#unknown.delete(socket);
    });
    return true;
  }

  #scheduleScan(): void {
    this.#stopScan = this.#options.clock.schedule(this.#limits.scanIntervalMs, () => {
      const nowMs = this.#options.clock.monotonicMs();
      for (const [socket, dueMs] of this.#unknown) if (nowMs > dueMs) socket.destroy();
      this.#http1.scan(nowMs);
      this.#http2.scan(nowMs);
      this.#scheduleScan();
    });
  }
}

function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

function tlsOptions(material: TlsMaterial) {
  const pem = (value: string | Uint8Array) =>
    typeof value === "string" ? value : Buffer.from(value);
  return {
    key: pem(material.key),
    cert: pem(material.cert),
    ...(material.clientCa === undefined
      ? {}
      : { ca: pem(material.clientCa), requestCert: true, rejectUnauthorized: true }),
  };
}
