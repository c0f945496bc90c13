import assert from "node:assert/strict";
import { test } from "node:test";
import { FrameBuffer } from "../../src/journal/frame-buffer.ts";
import { FrameType, REPLICA_AT, readRecord, TYPE_AT } from "../../src/journal/frames.ts";

const START_BYTES = 64 * 1024;
const FILLER_HEAD_BYTES = 34;

/** A buffer with `free` bytes left before it must grow. */
function filled(free: number): FrameBuffer {
  const buffer = new FrameBuffer();
  // Header of the flush, then entries that fill the rest; each payload is copied.
  let left = START_BYTES - 64 - free;
  while (left > 0) {
    const bytes = left > 6_000 ? 3_000 : left - FILLER_HEAD_BYTES;
    const size = Math.min(bytes, 3_000);
    buffer.addEntry(1, { index: 2, term: 1, kind: 0, payload: [new Uint8Array(size)] });
    left -= size + FILLER_HEAD_BYTES;
  }
  return buffer;
}

/** Type, replica id and length of each frame of the buffer's end. */
function lastFrame(buffer: FrameBuffer): { view: DataView; at: number } {
  let last: { view: DataView; at: number } | undefined;
  buffer.visit((view, at) => {
    last = { view, at };
  });
  return last ?? assert.fail("no frames");
}

// Goal: a buffer that grows keeps what was written. Method: begin every kind of frame with every
// number of bytes left from none to more than a head has. A frame's head once was lost at 17 to 33.
test("a frame is whole, however many bytes are left when it begins", () => {
  for (let free = 0; free <= 128; free += 1) {
    const payload = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10);
    const entry = filled(free);
    assert.equal(entry.frameBytes, START_BYTES - 64 - free);
    entry.addEntry(7, { index: 8, term: 9, kind: 3, payload: [payload] });
    const { view, at } = lastFrame(entry);
    assert.equal(view.getUint32(at + 4, true), 36, `length with ${free} free`);
    assert.equal(view.getUint8(at + TYPE_AT), FrameType.entry);
    assert.equal(view.getUint8(at + REPLICA_AT), 7);
    assert.equal(view.getUint8(at + 17), 8);
    assert.equal(view.getUint8(at + 33), 3);
    assert.equal(view.getUint8(at + 43), 10);

    const listed = filled(free);
    const record = {
      ...{ replicaId: 7, topicId: 6, term: 5, vote: 4, commit: 3 },
      ...{ snapshotIndex: 2, snapshotTerm: 1 },
    };
    listed.addReplica(FrameType.replicaListed, record);
    const end = lastFrame(listed);
    assert.equal(end.view.getUint8(end.at + TYPE_AT), FrameType.replicaListed);
    assert.deepEqual(readRecord(end.view, end.at), record, `record with ${free} free`);

    const mark = filled(free);
    mark.addMark(FrameType.closeMark, 0);
    const closed = lastFrame(mark);
    assert.equal(closed.view.getUint8(closed.at + TYPE_AT), FrameType.closeMark);
    assert.equal(closed.view.getUint32(closed.at + 4, true), 9);
  }
});
