import type { ClientHttp2Session, ClientHttp2Stream } from "node:http2";
import type { Clock } from "../base/clock.ts";
import { KIB } from "../base/units.ts";
import { openSession, writeOneByOne } from "./http-client-session.ts";
import type { ClientTls } from "./http-client-socket.ts";

/** A call that we made, on a connection that it shares with others. */
export type HttpOutgoing = ClientHttp2Stream;

/** Bytes of an answer that may be under way to us, and wait while it is paused. */
export const POOL_WINDOW_BYTES = 128 * KIB;
/** Looks from when a connection was asked whether it is alive, that one with them, until it counts as silent. */
const SILENT_LOOKS = 4;
/** What node:http2 may hold of one connection, in MiB: more than our callers let wait. */
const SESSION_MEMORY_MIB = 4096;

/** Looks at all connections in the time between two pings: so much later than due is each of them. */
const LOOKS_PER_PING = 4;

/** What connections to one address may cost. */
export interface HttpPoolLimits {
  /** Calls at once on one connection, fewer than servers allow. */
  readonly callsPerConnectionMax: number;
  readonly connectionsPerAddressMax: number;
  /** To connect, and again until HTTP/2 has begun. */
  readonly dialTimeoutMs: number;
  /** How often a connection with calls on it is asked whether it is alive. */
  readonly pingIntervalMs: number;
  /** How long it may take to answer. */
  readonly pingTimeoutMs: number;
  /** Without a call for so long it is closed. */
  readonly idleMs: number;
}

const HTTP_POOL_LIMITS: HttpPoolLimits = {
  callsPerConnectionMax: 800,
  connectionsPerAddressMax: 16,
  dialTimeoutMs: 2_000,
  pingIntervalMs: 500,
  pingTimeoutMs: 2_000,
  idleMs: 60_000,
};

export interface HttpPoolOptions {
  readonly clock: Clock;
  /** Asked at each dial; undefined: plaintext. */
  readonly tls?: (() => ClientTls | undefined) | undefined;
  readonly limits?: Partial<HttpPoolLimits>;
}

/** HTTP/2 connections to other servers, made when they are needed and shared by many calls. */
export class HttpPool {
  readonly #options: HttpPoolOptions;
  readonly #limits: HttpPoolLimits;
  readonly #places = new Map<string, Place>();
  readonly #connectionOf = new WeakMap<HttpOutgoing, Connection>();
  readonly #closing = new AbortController();
  #cancelScan: (() => void) | undefined;

  constructor(options: HttpPoolOptions) {
    this.#options = options;
    this.#limits = { ...HTTP_POOL_LIMITS, ...options.limits };
  }

  /**
   * Begins a call to `address` (`host:port`). Its `error` and `close` are the caller's to watch.
   * @returns a promise when there is no connection yet
   * @throws the platform's error when nobody answers, or all connections are full: nothing was sent
   */
  open(
    address: string,
    fields: Readonly<Record<string, string>>,
  ): HttpOutgoing | Promise<HttpOutgoing> {
    return this.#tryOpen(address, fields) ?? this.#openLater(address, fields);
  }

  /** True when the connection of a call was asked whether it is alive, and has not answered for some time. */
  isSilent(call: HttpOutgoing): boolean {
    return this.#connectionOf.get(call)?.isSilent === true;
  }

  /** Ends all connections with their calls. */
  close(): void {
    this.#closing.abort(new Error("The server stops"));
    this.#cancelScan?.();
    for (const { connections } of this.#places.values()) {
      for (const connection of connections) connection.destroy();
    }
    this.#places.clear();
  }

  #tryOpen(address: string, fields: Readonly<Record<string, string>>): HttpOutgoing | undefined {
    const connections = this.#places.get(address)?.connections ?? [];
    for (const connection of connections) {
      if (connection.callCount >= this.#limits.callsPerConnectionMax) continue;
      const call = connection.open(fields);
      if (call === undefined) continue;
      this.#connectionOf.set(call, connection);
      return call;
    }
    return undefined;
  }

  async #openLater(
    address: string,
    fields: Readonly<Record<string, string>>,
  ): Promise<HttpOutgoing> {
    for (;;) {
      await this.#connect(address);
      const call = this.#tryOpen(address, fields); // others may have been faster
      if (call !== undefined) return call;
    }
  }

  /** One dial at a time: all who wait share what comes of it. */
  #connect(address: string): Promise<void> {
    let place = this.#places.get(address);
    if (place === undefined) {
      place = { connections: [], dialling: undefined, dialCount: 0 };
      this.#places.set(address, place);
    }
    if (place.connections.length >= this.#limits.connectionsPerAddressMax) {
      return Promise.reject(new Error(`All connections to ${address} are full`));
    }
    const { connections } = place;
    place.dialling ??= this.#dial(address, place)
      .then((connection) => {
        connections.push(connection);
        connection.whenClosed(() => this.#drop(address, connection));
        this.#cancelScan ??= this.#scheduleScan();
      })
      .finally(() => {
        place.dialling = undefined;
        if (connections.length === 0) this.#places.delete(address);
      });
    return place.dialling;
  }

  async #dial(address: string, place: Place): Promise<Connection> {
    const { clock, tls: tlsOf } = this.#options;
    const { dialTimeoutMs: timeoutMs } = this.#limits;
    const { signal } = this.#closing;
    const tls = tlsOf?.();
    place.dialCount += 1;
    const attempt = place.dialCount;
    const session = await openSession({
      ...{ address, attempt, tls, timeoutMs, clock, signal },
      windowBytes: POOL_WINDOW_BYTES,
      memoryMib: SESSION_MEMORY_MIB,
    });
    return new Connection(session, clock.monotonicMs());
  }

  #drop(address: string, connection: Connection): void {
    const place = this.#places.get(address);
    const at = place?.connections.indexOf(connection) ?? -1;
    if (place === undefined || at < 0) return;
    place.connections.splice(at, 1);
    if (place.connections.length === 0 && place.dialling === undefined) {
      this.#places.delete(address);
    }
  }

  #scheduleScan(): () => void {
    return this.#options.clock.schedule(this.#limits.pingIntervalMs / LOOKS_PER_PING, () => {
      const nowMs = this.#options.clock.monotonicMs();
      let count = 0;
      for (const { connections } of this.#places.values()) {
        for (const connection of [...connections]) connection.look(nowMs, this.#limits);
        count += connections.length;
      }
      this.#cancelScan = count > 0 ? this.#scheduleScan() : undefined;
    });
  }
}

interface Place {
  readonly connections: Connection[];
  dialling: Promise<void> | undefined;
  dialCount: number;
}

class Connection {
  readonly #session: ClientHttp2Session;
  #callCount = 0;
  /** Since when it is idle, or alive. */
  #sinceMs: number;
  /** Since it was asked whether it is alive; 0: it was not, or has answered. */
  #unansweredLooks = 0;
  /** The server takes no more calls on it. */
  #isLeft = false;

  constructor(session: ClientHttp2Session, nowMs: number) {
    this.#session = session;
    this.#sinceMs = nowMs;
    session.on("goaway", () => {
      this.#isLeft = true;
    });
  }

  get callCount(): number {
    return this.#callCount;
  }

  get isSilent(): boolean {
    return this.#unansweredLooks >= SILENT_LOOKS;
  }

  /** @returns undefined when the connection takes no more calls */
  open(fields: Readonly<Record<string, string>>): HttpOutgoing | undefined {
    const session = this.#session;
    if (this.#isLeft || session.closed || session.destroyed) return undefined;
    let call: HttpOutgoing;
    try {
      call = session.request({ ...fields }, { endStream: false });
    } catch {
      this.#isLeft = true;
      return undefined;
    }
    writeOneByOne(call);
    this.#callCount += 1;
    call.once("close", () => {
      this.#callCount -= 1;
      if (this.#isLeft && this.#callCount === 0) this.destroy();
    });
    return call;
  }

  /**
   * Closes what is idle, asks what is silent, ends what does not answer. Looks are counted, not time: after
   * this process stood still there must be a chance to hear what came meanwhile.
   */
  look(nowMs: number, { pingIntervalMs, pingTimeoutMs, idleMs }: HttpPoolLimits): void {
    const isIdle = this.#callCount === 0;
    if (this.#unansweredLooks > 0) {
      this.#unansweredLooks += 1;
      const silentMs = (this.#unansweredLooks - 1) * (pingIntervalMs / LOOKS_PER_PING);
      if (silentMs >= pingTimeoutMs) this.destroy();
    } else if (isIdle && (this.#isLeft || nowMs - this.#sinceMs >= idleMs)) {
      this.destroy();
    } else if (!isIdle && nowMs - this.#sinceMs >= pingIntervalMs) {
      this.#ask(nowMs);
    }
  }

  whenClosed(listener: () => void): void {
    if (this.#session.destroyed) listener();
    else this.#session.once("close", listener);
  }

  destroy(): void {
    this.#session.destroy();
  }

  #ask(nowMs: number): void {
    this.#unansweredLooks = 1;
    this.#sinceMs = nowMs;
    try {
      this.#session.ping((error) => {
        if (error === null) this.#unansweredLooks = 0;
      });
    } catch {
      this.destroy();
    }
  }
}
