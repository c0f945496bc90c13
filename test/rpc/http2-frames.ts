import net from "node:net";
import type { TestContext } from "node:test";
import tls from "node:tls";

export const FRAME = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goaway: 7, update: 8 };
export const SETTING_INITIAL_WINDOW_SIZE = 4;
export const INITIAL_WINDOW_BYTES = 65_535;
export const WINDOW_BYTES_MAX = 0x7fff_ffff;

const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEAD_BYTES = 9;
const FLAG_ACK = 1;
const FLAG_END_STREAM = 1;
const END_STREAM_AND_HEADERS = 5;

export function frame(
  type: number,
  flags: number,
  streamId: number,
  body: Buffer = Buffer.alloc(0),
) {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUIntBE(body.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(streamId, 5);
  return Buffer.concat([head, body]);
}

export function settings(...pairs: readonly (readonly [id: number, value: number])[]): Buffer {
  const body = Buffer.alloc(6 * pairs.length);
  for (const [at, [id, value]] of pairs.entries()) {
    body.writeUInt16BE(id, 6 * at);
    body.writeUInt32BE(value, 6 * at + 2);
  }
  return frame(FRAME.settings, 0, 0, body);
}

/** SETTINGS with one value, the initial window of streams. */
export function initialWindow(bytes: number): Buffer {
  return settings([SETTING_INITIAL_WINDOW_SIZE, bytes]);
}

export function windowUpdate(streamId: number, bytes: number): Buffer {
  const body = Buffer.alloc(4);
  body.writeUInt32BE(bytes);
  return frame(FRAME.update, 0, streamId, body);
}

export function reset(streamId: number, code: number): Buffer {
  const body = Buffer.alloc(4);
  body.writeUInt32BE(code);
  return frame(FRAME.reset, 0, streamId, body);
}

/** A whole request, without a body. */
export function request(streamId: number): Buffer {
  const field = (name: string, value: string) =>
    Buffer.from(
      `\0${String.fromCharCode(name.length)}${name}${String.fromCharCode(value.length)}${value}`,
    );
  const fields = [
    field(":method", "POST"),
    field(":scheme", "http"),
    field(":path", "/x"),
    field(":authority", "x"),
  ];
  return frame(FRAME.headers, END_STREAM_AND_HEADERS, streamId, Buffer.concat(fields));
}

/** A client of HTTP/2 that sends what it is told, frame by frame, and counts what comes. */
export class FrameClient {
  readonly socket: net.Socket;
  /** Bytes of DATA that came on each stream. */
  readonly #dataBytes = new Map<number, number>();
  readonly #waiting = new Set<() => void>();
  #unread: Buffer = Buffer.alloc(0);
  readonly #later: Buffer[] = [];
  #isInPieces = false;
  #pings = 0;
  #pongs = 0;
  settingsAcks = 0;
  /** Bytes of DATA that had come before each acknowledgement of SETTINGS. */
  readonly dataBytesBeforeAcks: number[] = [];
  /** Streams of which the server has sent the end. */
  readonly ended = new Set<number>();
  /** Frames that say that something is wrong. */
  readonly complaints: string[] = [];
  isClosed = false;

  private constructor(socket: net.Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => this.#take(chunk));
    socket.on("error", () => {});
    socket.on("close", () => {
      this.isClosed = true;
      this.#wake();
    });
  }

  /** Connects and sends the preface; with `ca`, over TLS. */
  static async open(t: TestContext, port: number, ca?: string): Promise<FrameClient> {
    const target = { host: "127.0.0.1", port };
    const socket =
      ca === undefined
        ? net.connect(target)
        : tls.connect({ ...target, ca, ALPNProtocols: ["h2"] });
    t.after(() => socket.destroy());
    const client = new FrameClient(socket);
    const connected = ca === undefined ? "connect" : "secureConnect";
    await new Promise((resolve) => socket.once(connected, resolve));
    return client;
  }

  /** The first bytes of a connection: a window of the whole connection that is never used up. */
  static get opening(): Buffer {
    const connectionWindow = windowUpdate(0, WINDOW_BYTES_MAX - INITIAL_WINDOW_BYTES);
    return Buffer.concat([Buffer.from(PREFACE), settings(), connectionWindow]);
  }

  /** Whatever is sent meanwhile by pieces goes first. */
  send(...frames: readonly Buffer[]): void {
    if (this.#isInPieces) this.#later.push(...frames);
    else this.socket.write(Buffer.concat(frames));
  }

  /** Sends in pieces of so many bytes, each in a turn of its own. */
  async sendInPieces(bytes: Buffer, pieceBytes: number): Promise<void> {
    this.#isInPieces = true;
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      this.socket.write(bytes.subarray(at, at + pieceBytes));
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    this.#isInPieces = false;
    this.send(...this.#later.splice(0));
  }

  dataBytes(streamId: number): number {
    return this.#dataBytes.get(streamId) ?? 0;
  }

  /** Resolves when `isSo`, or when the connection is closed. */
  async until(isSo: () => boolean): Promise<void> {
    while (!isSo() && !this.isClosed) {
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  /** Resolves when the server has taken all that was sent, and had time to answer it. */
  async settle(): Promise<void> {
    for (let round = 0; round < 3; round += 1) {
      this.send(frame(FRAME.ping, 0, 0, Buffer.alloc(8)));
      this.#pings += 1;
      await this.until(() => this.#pongs === this.#pings);
    }
  }

  /** Waits for so many bytes of DATA in all, and for more than that. @returns what came */
  async dataUpTo(streamId: number, bytes: number): Promise<number> {
    await this.until(() => this.dataBytes(streamId) >= bytes || this.complaints.length > 0);
    await this.settle();
    return this.dataBytes(streamId);
  }

  #take(chunk: Buffer): void {
    this.#unread = this.#unread.length === 0 ? chunk : Buffer.concat([this.#unread, chunk]);
    while (this.#unread.length >= HEAD_BYTES) {
      const length = HEAD_BYTES + this.#unread.readUIntBE(0, 3);
      if (this.#unread.length < length) break;
      this.#onFrame(this.#unread.subarray(0, length));
      this.#unread = this.#unread.subarray(length);
    }
    this.#wake();
  }

  #onFrame(bytes: Buffer): void {
    const [, , , type, flags = 0] = bytes;
    const streamId = bytes.readUInt32BE(5);
    const isAck = (flags & FLAG_ACK) !== 0;
    const count = this.dataBytes(streamId) + bytes.length - HEAD_BYTES;
    const carriesEnd = type === FRAME.data || type === FRAME.headers;
    if (carriesEnd && (flags & FLAG_END_STREAM) !== 0) this.ended.add(streamId);
    if (type === FRAME.data) this.#dataBytes.set(streamId, count);
    if (type === FRAME.settings && isAck) {
      this.settingsAcks += 1;
      const counts = [...this.#dataBytes.values()];
      this.dataBytesBeforeAcks.push(counts.reduce((sum, bytes) => sum + bytes, 0));
    }
    if (type === FRAME.settings && !isAck) this.send(frame(FRAME.settings, FLAG_ACK, 0));
    if (type === FRAME.ping && isAck) this.#pongs += 1;
    if (type === FRAME.ping && !isAck) {
      this.send(frame(FRAME.ping, FLAG_ACK, 0, bytes.subarray(HEAD_BYTES)));
    }
    if (type === FRAME.reset) this.complaints.push(`RST_STREAM of ${streamId}`);
    if (type === FRAME.goaway) this.complaints.push(`GOAWAY ${bytes.readUInt32BE(HEAD_BYTES + 4)}`);
  }

  #wake(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const resume of waiting) resume();
  }
}
