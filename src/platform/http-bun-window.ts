const PREFACE_BYTES = 24;
const FRAME_HEAD_BYTES = 9;
/** What RFC 9113 lets a frame have, as long as we ask for no more. */
const FRAME_BYTES_MAX = 16_384;
const TYPE_SETTINGS = 4;
const TYPE_WINDOW_UPDATE = 8;
const FLAG_ACK = 1;
const SETTING_INITIAL_WINDOW_SIZE = 4;
const SETTING_BYTES = 6;
const WINDOW_UPDATE_BYTES = 4;
const INITIAL_WINDOW_BYTES = 65_535;
const WINDOW_BYTES_MAX = 0x7fff_ffff;
const NOTHING: Buffer = Buffer.alloc(0);

/**
 * Stands before Bun's HTTP/2 and mends what it makes of a changed
 * SETTINGS_INITIAL_WINDOW_SIZE, see ADR 8. RFC 9113 (6.9.2) adds the difference to the
 * window of every open stream; Bun 1.4 takes the new value as the least that a stream
 * may be sent in all. A stream that had WINDOW_UPDATEs gets nothing of a raise then,
 * and its client, which counts by the rule, waits for ever: grpc-go and others raise
 * the window as soon as they see that a connection is fast.
 *
 * - A raise is handed to Bun as a WINDOW_UPDATE for every open stream, just before the
 *   SETTINGS, to which Bun's rule has nothing to add then. This is exact.
 * - What is lowered cannot be taken back. It is kept from the WINDOW_UPDATEs and raises
 *   that come later; until then Bun may send up to so much more than a client allows.
 */
export class WindowMend {
  readonly #forward: (bytes: Buffer) => void;
  readonly #openStreams: Iterable<number>;
  readonly #acknowledgeFirst: (settle: () => void) => void;
  readonly #mayChange: () => boolean;
  #isRefused = false;
  /** Bytes by which Bun's window of a stream is larger than its client's. */
  #debts = new Map<number, number>();
  #initialWindowBytes = INITIAL_WINDOW_BYTES;
  /** Bytes of the present frame, or of the preface, still to come. */
  #skipBytes = PREFACE_BYTES;
  /** A frame's head, or a frame that matters, that is not whole yet. */
  #held = NOTHING;

  /**
   * @param forward hands bytes to Bun
   * @param openStreams ids of the streams that are open now
   * @param acknowledgeFirst calls what it is given, and sends the acknowledgement of SETTINGS
   *   before what Bun writes meanwhile
   * @param mayChange is asked for each SETTINGS; after it said no, nothing is handed on
   */
  constructor(
    forward: (bytes: Buffer) => void,
    openStreams: Iterable<number>,
    acknowledgeFirst: (settle: () => void) => void,
    mayChange: () => boolean,
  ) {
    this.#forward = forward;
    this.#openStreams = openStreams;
    this.#acknowledgeFirst = acknowledgeFirst;
    this.#mayChange = mayChange;
  }

  /** Takes what came in and hands it on, but for the beginning of a frame that may matter. */
  take(chunk: Buffer): void {
    let rest = chunk;
    while (this.#held.length > 0 && rest.length > 0) {
      const held = this.#held;
      const whole = held.length < FRAME_HEAD_BYTES ? FRAME_HEAD_BYTES : frameBytes(held, 0);
      const missing = whole - held.length;
      this.#held = NOTHING;
      this.#walk(Buffer.concat([held, rest.subarray(0, missing)]));
      rest = rest.subarray(missing);
    }
    if (rest.length > 0) this.#walk(rest);
  }

  #walk(bytes: Buffer): void {
    let forwarded = 0;
    let at = Math.min(this.#skipBytes, bytes.length);
    this.#skipBytes -= at;
    while (at < bytes.length) {
      const present = bytes.length - at;
      const hasHead = present >= FRAME_HEAD_BYTES;
      const length = hasHead ? frameBytes(bytes, at) : 0;
      const matters = hasHead && this.#matters(bytes, at, length);
      if (!hasHead || (matters && present < length)) {
        this.#held = Buffer.from(bytes.subarray(at));
        break;
      }
      if (matters) {
        this.#pass(bytes, forwarded, at); // it may open streams
        const frame = bytes.subarray(at, at + length);
        forwarded = at;
        if (frame[3] === TYPE_SETTINGS) {
          forwarded += length;
          this.#settle(frame);
        } else if (this.#payDebt(frame)) {
          forwarded += length;
        }
      }
      const taken = Math.min(length, present);
      this.#skipBytes = length - taken;
      at += taken;
    }
    this.#pass(bytes, forwarded, bytes.length - this.#held.length);
  }

  #pass(bytes: Buffer, from: number, end: number): void {
    if (this.#isRefused) return;
    if (from === 0 && end === bytes.length) this.#forward(bytes);
    else if (end > from) this.#forward(bytes.subarray(from, end));
  }

  /** Frames that Bun would refuse go to it as they are. */
  #matters(bytes: Buffer, at: number, length: number): boolean {
    const type = bytes[at + 3];
    if (type === TYPE_SETTINGS) {
      return (
        ((bytes[at + 4] ?? 0) & FLAG_ACK) === 0 && length <= FRAME_HEAD_BYTES + FRAME_BYTES_MAX
      );
    }
    if (type !== TYPE_WINDOW_UPDATE || this.#debts.size === 0) return false;
    return length === FRAME_HEAD_BYTES + WINDOW_UPDATE_BYTES;
  }

  #settle(frame: Buffer): void {
    this.#isRefused ||= !this.#mayChange();
    if (this.#isRefused) return;
    const updates = this.#updatesFor(frame);
    if (updates === undefined) {
      this.#forward(frame);
      return;
    }
    this.#acknowledgeFirst(() => {
      this.#forward(updates);
      this.#forward(frame);
    });
  }

  /** What is to be handed on before SETTINGS; undefined when there is nothing. */
  #updatesFor(frame: Buffer): Buffer | undefined {
    let next = this.#initialWindowBytes;
    for (let at = FRAME_HEAD_BYTES; at + SETTING_BYTES <= frame.length; at += SETTING_BYTES) {
      if (frame.readUInt16BE(at) === SETTING_INITIAL_WINDOW_SIZE) next = frame.readUInt32BE(at + 2);
    }
    const raise = next - this.#initialWindowBytes;
    if (raise === 0 || next > WINDOW_BYTES_MAX) return undefined;
    this.#initialWindowBytes = next;
    const debts = new Map<number, number>();
    const updates: Buffer[] = [];
    for (const id of this.#openStreams) {
      const credit = raise - (this.#debts.get(id) ?? 0);
      if (credit > 0) updates.push(windowUpdate(id, credit));
      if (credit < 0) debts.set(id, -credit);
    }
    this.#debts = debts;
    return updates.length > 0 ? Buffer.concat(updates) : undefined;
  }

  /** @returns true when nothing of the WINDOW_UPDATE is left for Bun, or it has it already */
  #payDebt(frame: Buffer): boolean {
    const id = frame.readUInt32BE(5) & WINDOW_BYTES_MAX;
    const bytes = frame.readUInt32BE(FRAME_HEAD_BYTES) & WINDOW_BYTES_MAX;
    const debt = this.#debts.get(id);
    if (debt === undefined || bytes === 0) return false;
    if (bytes < debt) this.#debts.set(id, debt - bytes);
    else this.#debts.delete(id);
    if (bytes > debt) this.#forward(windowUpdate(id, bytes - debt));
    return true;
  }
}

/** Bytes of the frame, with its head, that begins at `at`. */
function frameBytes(bytes: Buffer, at: number): number {
  const high = bytes[at] ?? 0;
  const middle = bytes[at + 1] ?? 0;
  return FRAME_HEAD_BYTES + ((high << 16) | (middle << 8) | (bytes[at + 2] ?? 0));
}

function windowUpdate(streamId: number, bytes: number): Buffer {
  const frame = Buffer.alloc(FRAME_HEAD_BYTES + WINDOW_UPDATE_BYTES);
  frame[2] = WINDOW_UPDATE_BYTES;
  frame[3] = TYPE_WINDOW_UPDATE;
  frame.writeUInt32BE(streamId, 5);
  frame.writeUInt32BE(bytes, FRAME_HEAD_BYTES);
  return frame;
}
