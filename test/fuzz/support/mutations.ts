import fc from "fast-check";

/** A change of some bytes: what it is, and where, as a share of their length. */
type Change =
  | { readonly kind: "flip" | "set" | "insert"; readonly at: number; readonly byte: number }
  | { readonly kind: "cut" | "repeat" | "swap"; readonly at: number; readonly size: number }
  | { readonly kind: "end"; readonly at: number };

const at = fc.nat(10_000);
/** Bytes at which parsers change their minds. */
const byte = fc.oneof(
  fc.nat(255),
  fc.constantFrom(0, 1, 5, 0x0a, 0x0d, 0x20, 0x3a, 0x7f, 0x80, 0xff),
);

const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({ kind: fc.constantFrom("flip", "set", "insert"), at, byte }),
  fc.record({
    kind: fc.constantFrom("cut", "repeat", "swap"),
    at,
    size: fc.integer({ min: 1, max: 40 }),
  }),
  fc.record({ kind: fc.constant("end"), at }),
);

/** Up to `max` changes; none at all now and then, so that what is right is tried too. */
export const changes = (max: number): fc.Arbitrary<readonly Change[]> =>
  fc.array(change, { maxLength: max });

/** `source` with all of `changes` made to it, one after the other. */
export function mutate(source: Uint8Array, changes: readonly Change[]): Uint8Array {
  let bytes = Buffer.from(source);
  for (const change of changes) bytes = mutateOnce(bytes, change);
  return Uint8Array.from(bytes);
}

function mutateOnce(bytes: Buffer, change: Change): Buffer<ArrayBuffer> {
  const copy = Buffer.from(bytes);
  const place = Math.floor((change.at / 10_001) * bytes.length);
  const before = copy.subarray(0, place);
  switch (change.kind) {
    case "flip":
      copy[place] = (copy[place] ?? 0) ^ (1 << (change.byte & 7));
      return copy;
    case "set":
      copy[place] = change.byte;
      return copy;
    case "insert":
      return Buffer.concat([before, Uint8Array.of(change.byte), copy.subarray(place)]);
    case "cut":
      return Buffer.concat([before, copy.subarray(place + change.size)]);
    case "repeat":
      return Buffer.concat([copy.subarray(0, place + change.size), copy.subarray(place)]);
    case "swap": {
      const [first, second] = [place + change.size, place + 2 * change.size];
      return Buffer.concat([
        before,
        copy.subarray(first, second),
        copy.subarray(place, first),
        copy.subarray(second),
      ]);
    }
    case "end":
      return Buffer.from(before);
  }
}

/** Where a stream of bytes is split into packets, as shares of its length. */
export const cuts: fc.Arbitrary<readonly number[]> = fc.oneof(
  fc.constant<number[]>([]),
  fc.array(at, { minLength: 1, maxLength: 6 }),
);

/** The pieces of `bytes` between `cuts`. */
export function split(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const places = cuts.map((cut) => Math.floor((cut / 10_001) * bytes.length)).sort((a, b) => a - b);
  const ends = [...places, bytes.length];
  return ends
    .map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end))
    .filter((piece) => piece.length > 0);
}
