import type { ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import type { Writable } from "node:stream";
import { MIB } from "../base/units.ts";

/** What Bun gets of one write at a time: enough for a stream alone to be as fast as it can. */
const PIECE_BYTES = 256 * 1024;
/** The same while Bun has much already: about a frame. It costs a fast stream 40 % more CPU. */
const SMALL_PIECE_BYTES = 16 * 1024;
/** When Bun has so much of a connection that it has not sent, it gets small pieces. */
const UNSENT_BYTES_MAX = MIB;

/** Writes up to this are gathered; so much of them goes out without waiting for the turn's end. */
const GATHERED_BYTES_MAX = 8 * 1024;

type WriteCallback = (error?: Error | null) => void;

interface Part {
  readonly chunk: Uint8Array | string;
  readonly encoding: BufferEncoding;
}

type Write = (chunk: Part["chunk"], encoding: BufferEncoding, callback: WriteCallback) => void;
type Writev = (parts: Part[], callback: WriteCallback) => void;

const WRITES = Symbol("writes");

interface MendedStream extends Writable {
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
 *   of all other streams back too, until something comes from the client; also after that
 *   stream was cancelled, so that a stream alone may be held. So when something is written,
 *   Bun is told that the connection has room, for which it sends what the windows take.
 * - Bun copies what it cannot send, for each stream. What many streams share and nobody
 *   reads would be in memory once for each of them. So Bun gets nothing while the socket
 *   is full, and of a long write a piece at a time.
 * - Bun writes to the socket for each answer. Short ones of one turn of the event loop go
 *   out together: a system call each is a quarter of what such a call costs in all.
 */
export class BunWrites {
  readonly #socket: Socket;
  /** Writes of which Bun has not told that they are gone: one a stream at most. */
  #unsent = 0;
  #unsentBytes = 0;
  #isDue = false;
  readonly #send: () => void;
  readonly #release: () => void;
  #isReleaseDue = false;
  /** What waits until the socket has room, the longest first: one a stream at most. */
  readonly #parked = new Set<LongWrite>();

  constructor(socket: Socket) {
    this.#socket = socket;
    this.#send = () => this.#sendHeld();
    this.#release = () => {
      this.#isReleaseDue = false;
      this.#letGo();
    };
    socket.on("drain", () => this.#resume());
  }

  attach(stream: ServerHttp2Stream): void {
    const mended = stream as Writable as MendedStream;
    mended[WRITES] = this;
    mended._write = write;
    mended._writev = writev;
  }

  /** Bytes that Bun may be given at once; 0: none until there is room. */
  get room(): number {
    return this.#parked.size > 0 || this.#socket.writableNeedDrain ? 0 : this.#pieceBytes;
  }

  get #pieceBytes(): number {
    return this.#unsentBytes < UNSENT_BYTES_MAX ? PIECE_BYTES : SMALL_PIECE_BYTES;
  }

  /** @returns what Bun is to call when the bytes are gone */
  begin(bytes: number, callback: WriteCallback): WriteCallback {
    this.#gather(bytes);
    this.#unsent += 1;
    this.#unsentBytes += bytes;
    return (error) => {
      this.#unsent -= 1;
      this.#unsentBytes -= bytes;
      process.nextTick(callback, error);
    };
  }

  /** Once a turn of the event loop, and never from within Bun's calls. */
  afterWrite(): void {
    if (this.#unsent === 0 || this.#isDue) return;
    this.#isDue = true;
    setImmediate(this.#send);
  }

  /** Goes on with `write` when there is room. */
  park(write: LongWrite): void {
    this.#parked.add(write);
  }

  /** Forgets `write`. */
  drop(write: LongWrite): void {
    this.#parked.delete(write);
  }

  #gather(bytes: number): void {
    const socket = this.#socket;
    if (bytes > GATHERED_BYTES_MAX || socket.writableLength > GATHERED_BYTES_MAX) this.#letGo();
    else if (socket.writableCorked === 0) {
      socket.cork();
      if (this.#isReleaseDue) return;
      this.#isReleaseDue = true;
      setImmediate(this.#release);
    }
  }

  #letGo(): void {
    if (this.#socket.writableCorked > 0) this.#socket.uncork();
  }

  #sendHeld(): void {
    this.#isDue = false;
    const socket = this.#socket;
    // Bun tells in the turn after the write when it has sent it. When the socket is full
    // it says itself when it has room.
    if (this.#unsent === 0 || socket.destroyed || socket.writableNeedDrain) return;
    socket.emit("drain");
  }

  /** After Bun, which listened first, has sent what it has: the socket may be full again. */
  #resume(): void {
    for (const write of this.#parked) {
      if (this.#socket.writableNeedDrain) return;
      this.#parked.delete(write);
      write.resume(this.#pieceBytes);
    }
  }
}

/** A write that Bun does not get at once. */
class LongWrite {
  readonly #stream: MendedStream;
  readonly #writes: BunWrites;
  readonly #callback: WriteCallback;
  #rest: Uint8Array[];

  constructor(stream: MendedStream, parts: readonly Part[], callback: WriteCallback) {
    this.#stream = stream;
    this.#writes = stream[WRITES];
    this.#callback = callback;
    this.#rest = parts.map(bytesOf);
  }

  /** Hands Bun the next piece, now or when there is room. */
  goOn(): void {
    const room = this.#writes.room;
    if (this.#stream.destroyed) {
      this.#onClose();
    } else if (room > 0) {
      this.#writePiece(room);
    } else {
      this.#writes.park(this);
      this.#stream.once("close", this.#onClose);
    }
  }

  resume(room: number): void {
    this.#stream.removeListener("close", this.#onClose);
    this.#writePiece(room);
  }

  readonly #onClose = (): void => {
    this.#writes.drop(this);
    this.#rest = [];
    process.nextTick(this.#callback);
  };

  readonly #onPiece: WriteCallback = (error) => {
    if (error) this.#callback(error);
    else this.goOn();
  };

  #writePiece(room: number): void {
    // When the stream was ended meanwhile, Bun ends it with a piece that is as long as all
    // that the stream has to write. Of a text the stream counts characters: never with the
    // first of several pieces.
    const piece = this.#take(room === this.#stream.writableLength ? room - 1 : room);
    const then = this.#rest.length > 0 ? this.#onPiece : this.#callback;
    passOn(this.#stream, piece, "utf8", then);
  }

  #take(bytesMax: number): Uint8Array {
    const taken: Uint8Array[] = [];
    let room = bytesMax;
    for (let next = this.#rest[0]; next !== undefined && room > 0; next = this.#rest[0]) {
      const part = next.subarray(0, room);
      taken.push(part);
      room -= part.length;
      if (part.length < next.length) this.#rest[0] = next.subarray(part.length);
      else this.#rest.shift();
    }
    const [first] = taken;
    return first !== undefined && taken.length === 1 ? first : Buffer.concat(taken);
  }
}

function bytesOf({ chunk, encoding }: Part): Uint8Array {
  return typeof chunk === "string" ? Buffer.from(chunk, encoding) : chunk;
}

function passOn(stream: MendedStream, ...[chunk, encoding, callback]: Parameters<Write>): void {
  const own = Object.getPrototypeOf(stream) as MendedStream;
  const writes = stream[WRITES];
  own._write.call(stream, chunk, encoding, writes.begin(chunk.length, callback));
  writes.afterWrite();
}

function write(this: MendedStream, ...[chunk, encoding, callback]: Parameters<Write>): void {
  if (chunk.length <= this[WRITES].room) passOn(this, chunk, encoding, callback);
  else new LongWrite(this, [{ chunk, encoding }], callback).goOn();
}

/** What was written while an earlier write was not gone. */
function writev(this: MendedStream, ...[parts, callback]: Parameters<Writev>): void {
  new LongWrite(this, parts, callback).goOn();
}
