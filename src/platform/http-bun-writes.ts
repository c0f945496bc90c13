import type { ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import type { Writable } from "node:stream";

type WriteCallback = (error?: Error | null) => void;
type Write = (chunk: unknown, encoding: BufferEncoding, callback: WriteCallback) => void;
type Writev = (chunks: unknown[], callback: WriteCallback) => void;

const WRITES = Symbol("writes");

interface MendedStream {
  _write: Write;
  _writev: Writev;
  [WRITES]: BunWrites;
}

/**
 * Stands between the streams of one connection and Bun's HTTP/2, see ADR 8.
 *
 * - A stream learns in a later turn that bytes are gone. While Bun handles bytes from
 *   JavaScript it tells so at once, and also of a stream that has just been reset but
 *   does not know: whoever then writes until there is no room never ends.
 * - As long as a stream has DATA that its window does not take, Bun 1.4 keeps the DATA
 *   of all other streams back too, until something comes from the client. So when
 *   something is written meanwhile, Bun is told that the connection has room, for which
 *   it sends what the windows take.
 */
export class BunWrites {
  readonly #socket: Socket;
  /** Writes of which Bun has not told that they are gone: one a stream at most. */
  #unsent = 0;
  #isDue = false;
  readonly #send: () => void;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.#send = () => this.#sendHeld();
  }

  attach(stream: ServerHttp2Stream): void {
    const mended = stream as Writable as unknown as MendedStream;
    mended[WRITES] = this;
    mended._write = write;
    mended._writev = writev;
  }

  /** @returns what Bun is to call when the bytes are gone */
  begin(callback: WriteCallback): WriteCallback {
    this.#unsent += 1;
    return (error) => {
      this.#unsent -= 1;
      process.nextTick(callback, error);
    };
  }

  /** Once a turn of the event loop, and never from within Bun's calls. */
  afterWrite(): void {
    if (this.#unsent < 2 || this.#isDue) return; // one alone is held by nobody else
    this.#isDue = true;
    setImmediate(this.#send);
  }

  #sendHeld(): void {
    this.#isDue = false;
    const socket = this.#socket;
    // Bun tells in the turn after the write when it has sent it. When the socket is full
    // it says itself when it has room.
    if (this.#unsent === 0 || socket.destroyed || socket.writableNeedDrain) return;
    socket.emit("drain");
  }
}

function write(this: MendedStream, ...[chunk, encoding, callback]: Parameters<Write>): void {
  const own = Object.getPrototypeOf(this) as MendedStream;
  const writes = this[WRITES];
  own._write.call(this, chunk, encoding, writes.begin(callback));
  writes.afterWrite();
}

function writev(this: MendedStream, ...[chunks, callback]: Parameters<Writev>): void {
  const own = Object.getPrototypeOf(this) as MendedStream;
  const writes = this[WRITES];
  own._writev.call(this, chunks, writes.begin(callback));
  writes.afterWrite();
}
