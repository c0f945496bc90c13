import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { WindowMend } from "../../src/platform/http-bun-window.ts";
import { FRAME, frame, INITIAL_WINDOW_BYTES, initialWindow, windowUpdate } from "./http2-frames.ts";

const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const SEED = Number(process.env["SEED"] ?? Date.now() % 1_000_000);
const RUNS = { seed: SEED, numRuns: 100 };

/** What Bun has for one open stream, by its own rule. */
class BunWindow {
  total = INITIAL_WINDOW_BYTES;
  others: Buffer[] = [];
  #unread = PREFACE.subarray(0, 0);
  #isOpening = true;

  take(bytes: Buffer): void {
    this.#unread = Buffer.concat([this.#unread, bytes]);
    if (this.#isOpening && this.#unread.length >= PREFACE.length) {
      assert.deepEqual(this.#unread.subarray(0, PREFACE.length), PREFACE);
      this.#unread = this.#unread.subarray(PREFACE.length);
      this.#isOpening = false;
    }
    while (!this.#isOpening && this.#unread.length >= 9) {
      const length = 9 + this.#unread.readUIntBE(0, 3);
      if (this.#unread.length < length) return;
      this.#onFrame(this.#unread.subarray(0, length));
      this.#unread = this.#unread.subarray(length);
    }
  }

  #onFrame(bytes: Buffer): void {
    const type = bytes[3];
    if (type === FRAME.update) this.total += bytes.readUInt32BE(9);
    else if (type === FRAME.settings) this.total = Math.max(this.total, bytes.readUInt32BE(11));
    else this.others.push(Buffer.from(bytes));
  }
}

interface Step {
  readonly kind: "update" | "window" | "data" | "ping";
  readonly bytes: number;
}

const steps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.record({
    kind: fc.constantFrom("update", "window", "data", "ping"),
    bytes: fc.integer({ min: 1, max: 40_000 }),
  }),
  { maxLength: 12 },
);

test(`Bun's window is the client's, or larger by what was lowered, however bytes come (SEED=${SEED})`, () => {
  const cuts = fc.infiniteStream(fc.integer({ min: 1, max: 30_000 }));
  fc.assert(
    fc.property(steps, cuts, fc.boolean(), (script, sizes, isSmall) => {
      const others: Buffer[] = [];
      let initial = INITIAL_WINDOW_BYTES;
      let granted = INITIAL_WINDOW_BYTES;
      let highest = granted;
      const sent = script.map(({ kind, bytes }) => {
        if (kind === "update") {
          granted += bytes;
          highest = Math.max(highest, granted);
          return windowUpdate(1, bytes);
        }
        if (kind === "window") {
          granted += bytes - initial;
          highest = Math.max(highest, granted);
          initial = bytes;
          return initialWindow(bytes);
        }
        const isPing = kind === "ping";
        const other = frame(
          isPing ? FRAME.ping : FRAME.data,
          0,
          isPing ? 0 : 1,
          Buffer.alloc(isPing ? 8 : bytes),
        );
        others.push(other);
        return other;
      });
      const bun = new BunWindow();
      const mend = new WindowMend(
        (bytes) => bun.take(bytes),
        [1],
        (settle) => settle(),
        () => true,
      );
      const wire = Buffer.concat([PREFACE, ...sent]);
      for (let at = 0; at < wire.length; ) {
        const size = isSmall ? 1 + (sizes.next().value % 11) : sizes.next().value;
        mend.take(wire.subarray(at, at + size));
        at += size;
      }
      assert.equal(bun.total, highest);
      assert.deepEqual(bun.others, others);
    }),
    RUNS,
  );
});
