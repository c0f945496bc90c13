import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { concat } from "../../src/base/bytes.ts";
import { JoinedBody } from "../../src/rpc/joined-body.ts";
import { envelope } from "./raw-calls.ts";

const BYTES_MAX = 1_000;

interface Joined {
  readonly pieces: readonly Uint8Array[];
  /** What was told each time that more was asked for. */
  readonly begun: readonly boolean[];
}

/** Joins `body`, cut before each of `cuts`; all pieces use the same memory, one after the other. */
async function join(
  body: Uint8Array,
  cuts: readonly number[],
  hasEnvelopes: boolean,
): Promise<Joined> {
  const memory = new Uint8Array(body.length);
  async function* source(): AsyncGenerator<Uint8Array, undefined> {
    let from = 0;
    for (const to of [...cuts, body.length]) {
      memory.set(body.subarray(from, to));
      yield memory.subarray(0, to - from);
      memory.fill(0xee);
      from = to;
    }
  }
  const begun: boolean[] = [];
  const onAsk = (isBegun: boolean) => begun.push(isBegun);
  const pieces: Uint8Array[] = [];
  const joined = new JoinedBody(source(), { hasEnvelopes, bytesMax: BYTES_MAX, onAsk });
  for await (const piece of joined) pieces.push(piece.slice());
  return { pieces, begun };
}

const everyByte = (body: Uint8Array) => Array.from(body.subarray(1), (_byte, at) => at + 1);

const envelopes = fc
  .array(fc.uint8Array({ maxLength: 40 }), { minLength: 1, maxLength: 5 })
  .map((messages) => messages.map((message) => envelope(message)));

test("envelopes come whole wherever a body is cut, and what is left of it in the end", async () => {
  await fc.assert(
    fc.asyncProperty(
      envelopes,
      fc.array(fc.nat(200), { maxLength: 6 }),
      fc.nat(44),
      async (whole, places, lost) => {
        const all = concat(whole);
        const body = all.subarray(0, Math.max(0, all.length - lost));
        const cuts = places.filter((place) => place <= body.length).sort((a, b) => a - b);
        const { pieces } = await join(body, cuts, true);
        assert.deepEqual(concat(pieces), body);
        const ends = new Set([body.length]);
        for (const [at] of whole.entries()) ends.add(concat(whole.slice(0, at + 1)).length);
        let end = 0;
        for (const { length } of pieces) {
          end += length;
          assert.ok(ends.has(end), `${end} is not the end of an envelope`);
        }
      },
    ),
  );
});

test("a body of single bytes becomes one piece a message, a bare one becomes one", async () => {
  const one = envelope(new Uint8Array(100).fill(7));
  const body = concat([one, one]);
  assert.deepEqual((await join(body, everyByte(body), true)).pieces, [one, one]);
  assert.deepEqual((await join(body, everyByte(body), false)).pieces, [body]);
});

test("it says whether a message has begun", async () => {
  const one = envelope(new Uint8Array(3));
  const { begun } = await join(concat([one, one]), [2, 8, 10], true);
  assert.deepEqual(begun, [false, true, false, true, false]);
});

test("what is too long for a message is given out before it has come", async () => {
  const header = envelope(new Uint8Array(0));
  new DataView(header.buffer).setUint32(1, BYTES_MAX + 1);
  const long = concat([header, new Uint8Array(20)]);
  const firstOf = async (body: Uint8Array, cuts: readonly number[], hasEnvelopes: boolean) =>
    (await join(body, cuts, hasEnvelopes)).pieces[0]?.length;
  assert.equal(await firstOf(long, [3, 6, 15], true), 6);
  const bare = new Uint8Array(BYTES_MAX + 30);
  assert.equal(await firstOf(bare, [10, BYTES_MAX, BYTES_MAX + 10], false), BYTES_MAX + 10);
});
