import { concat } from "../../src/base/bytes.ts";
import type { RecordSpans } from "../../src/storage/frame.ts";

/** `bodies` side by side, as records come out of an entry. */
export function spansOf(bodies: readonly Uint8Array[]): RecordSpans {
  const ends = new Uint32Array(bodies.length);
  let end = 0;
  for (const [at, body] of bodies.entries()) {
    end += body.length;
    ends[at] = end;
  }
  const starts = ends.map((to, at) => to - (bodies[at]?.length ?? 0));
  return { bytes: concat(bodies), starts, ends, count: bodies.length };
}
