import {
  constants,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { Socket } from "node:net";
import { assert } from "../base/assert.ts";
import { MIB } from "../base/units.ts";
import { makeSessionWithoutHandle, mendWindows } from "./http-bun-socket.ts";
import { BunWrites } from "./http-bun-writes.ts";
import { drainHttp2 } from "./http-early-answer.ts";
import { ANSWERED_LINGER_MS, destroyAfter, IDLE_LINGER_MS } from "./http-linger.ts";
import type { ListenLimits, ListenOptions } from "./http-options.ts";
import { IS_BUN } from "./http-runtime.ts";

/** A stream's flow control window: the default of 64 KiB makes large requests several times slower. */
const STREAM_WINDOW_BYTES = MIB;
/** The same for a whole connection. On Bun 1.4 setting it stalls the connection. */
const SESSION_WINDOW_BYTES = 4 * MIB;
/**
 * What node:http2 may hold for one connection, in MiB: more than our own limits let
 * it come to (256 MiB of requests, a written piece for each stream). Above it Node
 * resets new streams with ENHANCE_YOUR_CALM, of which a client learns no reason; our
 * limits answer with one. Clients on Node have the same limit for themselves, 10 MB:
 * one that has more than that in requests under way resets the answers to them.
 */
const SESSION_MEMORY_MIB = 4096;
/** SETTINGS that a client may send between two scans: libraries come to about ten a second. */
const SETTINGS_PER_SCAN_MAX = 100;
/**
 * Calls of a connection that its client may cancel at once, and each second from then on,
 * before the connection is ended as an attack (CVE-2023-44487). The default of Node, 1000
 * and 33, ends those of busy clients with short deadlines too.
 */
const RESET_BURST = 10_000;
const RESETS_PER_SECOND = 1_000;

/** Where a connection's next time-out comes from. */
interface Liveness {
  /** "new": no SETTINGS yet; "asked": a PING is out; "ended": only its connection is still there. */
  state: "new" | "alive" | "asked" | "ended";
  dueMs: number;
}

interface Session extends Liveness {
  readonly socket: Socket;
  /** Ids of the calls that are open. */
  readonly openStreams: Set<number>;
  /** On Bun. */
  readonly writes: BunWrites | undefined;
  /** SETTINGS that came since the last scan. */
  settingsCount: number;
  /** GOAWAY is out. */
  isLeft: boolean;
}

/** The HTTP/2 connections of a port. */
export class Http2Sessions {
  readonly #server: Http2Server;
  /** Never listens: makes requests and responses of streams, as `node:http2` does by itself. */
  readonly #compat: Http2Server;
  readonly #options: ListenOptions;
  readonly #limits: ListenLimits;
  readonly #sessions = new Map<ServerHttp2Session, Session>();
  /** Whose session comes next: both runtimes make it before `emit` returns. */
  #accepted: Socket | undefined;

  constructor(options: ListenOptions, limits: ListenLimits) {
    this.#options = options;
    this.#limits = limits;
    this.#server = createServer({
      maxSessionMemory: SESSION_MEMORY_MIB,
      streamResetBurst: RESET_BURST,
      streamResetRate: RESETS_PER_SECOND,
      settings: {
        maxConcurrentStreams: limits.streamsPerConnectionMax,
        maxHeaderListSize: limits.headerBytesMax,
        initialWindowSize: STREAM_WINDOW_BYTES,
      },
    });
    this.#compat = createServer((request, response) => {
      const session = request.stream.session as ServerHttp2Session | undefined;
      const state = session && this.#sessions.get(session);
      if (state !== undefined) options.onRequest(request, response, state.socket);
    });
    this.#server.on("stream", (...args) => this.#onStream(...args));
    this.#server.on("session", (session) => this.#onSession(session));
    this.#server.on("sessionError", () => {}); // the session is destroyed and leaves by "close"
  }

  /** Takes over a connection whose first bytes, if any were read, are back in `socket`. */
  accept(socket: Socket): void {
    this.#accepted = socket;
    const makeSession = () => this.#server.emit("connection", socket);
    if (IS_BUN) makeSessionWithoutHandle(socket, makeSession);
    else makeSession();
    this.#accepted = undefined;
  }

  /**
   * Drops connections that never sent SETTINGS or do not answer a PING; asks the others.
   *
   * Node 24 may not notice that a client in TLS is gone while something is written to
   * it: the session waits for ever for that, also to be destroyed, and only the
   * connection itself can be ended (test/fuzz/listener-tls.test.ts).
   */
  scan(nowMs: number): void {
    for (const [session, state] of this.#sessions) {
      state.settingsCount = 0;
      if (session.destroyed && state.state !== "ended") {
        state.state = "ended";
        state.dueMs = nowMs + IDLE_LINGER_MS; // GOAWAY may be on its way
      }
      if (nowMs < state.dueMs) continue;
      if (state.state === "alive") {
        this.#ask(session, state, nowMs);
      } else {
        session.destroy();
        state.socket.destroy();
      }
    }
  }

  /**
   * Sends GOAWAY on every connection: calls under way go on, others are refused.
   * Connections that come later live until the next call of it.
   */
  close(): void {
    for (const [session, state] of this.#sessions) this.#leave(session, state, IDLE_LINGER_MS);
  }

  /** Ends every connection with all its calls. */
  destroy(): void {
    for (const session of this.#sessions.keys()) session.destroy();
  }

  #onSession(session: ServerHttp2Session): void {
    const { clock } = this.#options;
    const socket = this.#accepted;
    assert(socket !== undefined, "An HTTP/2 session without a connection");
    const state: Session = {
      socket,
      openStreams: new Set(),
      writes: IS_BUN ? new BunWrites(socket) : undefined,
      settingsCount: 0,
      isLeft: false,
      state: "new",
      dueMs: clock.monotonicMs() + this.#limits.headerTimeoutMs,
    };
    this.#sessions.set(session, state);
    session.once("close", () => this.#sessions.delete(session));
    session.on("error", () => {});
    session.once("remoteSettings", () => {
      state.state = "alive";
      state.dueMs = clock.monotonicMs() + this.#limits.pingIntervalMs;
    });
    if (IS_BUN) mendWindows(socket, state.openStreams, () => this.#maySettle(session, state));
    else {
      session.on("remoteSettings", () => this.#maySettle(session, state));
      session.setLocalWindowSize(SESSION_WINDOW_BYTES);
    }
  }

  /** Each SETTINGS costs work for every open stream. */
  #maySettle(session: ServerHttp2Session, state: Session): boolean {
    state.settingsCount += 1;
    if (state.settingsCount <= SETTINGS_PER_SCAN_MAX) return true;
    session.destroy();
    state.socket.destroy();
    return false;
  }

  #onAnswered(session: ServerHttp2Session, state: Session, streamId: number): void {
    state.openStreams.delete(streamId);
    if (state.isLeft) this.#leave(session, state, ANSWERED_LINGER_MS);
  }

  #leave(session: ServerHttp2Session, state: Session, lingerMs: number): void {
    const { socket, openStreams } = state;
    if (!state.isLeft && !session.destroyed) session.close();
    state.isLeft = true;
    if (openStreams.size === 0) destroyAfter(socket, this.#options.clock, lingerMs);
  }

  #ask(session: ServerHttp2Session, liveness: Liveness, nowMs: number): void {
    liveness.state = "asked";
    liveness.dueMs = nowMs + this.#limits.pingTimeoutMs;
    try {
      session.ping((error) => {
        if (error) return;
        liveness.state = "alive";
        liveness.dueMs = this.#options.clock.monotonicMs() + this.#limits.pingIntervalMs;
      });
    } catch {
      session.destroy(); // it was closing already
    }
  }

  /** A `stream` listener of our own: `node:http2` then makes nothing of a stream by itself. */
  #onStream(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    flags: number,
    rawHeaders: string[],
  ): void {
    stream.on("error", ignore); // a reset stream says so to whoever reads or writes it
    if (!IS_BUN) stream.on("aborted", destroyUnread);
    const session = stream.session as ServerHttp2Session | undefined;
    const state = session && this.#sessions.get(session);
    if (session === undefined || state === undefined) return; // gone again
    state.writes?.attach(stream);
    const { id = 0 } = stream; // never 0: it came with its id
    state.openStreams.add(id);
    stream.on("close", () => this.#onAnswered(session, state, id));
    if (this.#options.onStream?.(stream, headers, state.socket) === true) return;
    drainHttp2(stream, this.#options.clock);
    this.#compat.emit("stream", stream, headers, flags, rawHeaders);
  }
}

function ignore(): void {}

/**
 * After RST_STREAM with NO_ERROR, Node 24 would keep the stream open for as long as
 * written bytes wait for the client, which takes none. Other codes it minds, and those
 * that we send have yet to go out.
 */
function destroyUnread(this: ServerHttp2Stream): void {
  if (!this.destroyed && this.rstCode === constants.NGHTTP2_NO_ERROR) this.destroy();
}
