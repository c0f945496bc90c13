import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { LineSplitter } from "../../src/cli/line-splitter.ts";

/** What the splitter makes of `bytes` when they come in pieces cut at `cuts`. */
async function split(bytes: Buffer, cuts: readonly number[]): Promise<string[]> {
  const lines: string[] = [];
  const splitter = new LineSplitter((source, start, end) => {
    lines.push(Buffer.from(source.subarray(start, end)).toString("latin1"));
    return undefined;
  });
  const places = [0, ...[...cuts].sort((a, b) => a - b), bytes.length];
  for (const [place, start] of places.slice(0, -1).entries()) {
    const chunk = Buffer.from(bytes.subarray(start, places[place + 1]));
    await splitter.push(chunk);
    // The reader may use its buffer again.
    chunk.fill(0);
  }
  await splitter.end();
  return lines;
}

/** The obvious way. */
function expected(bytes: Buffer): string[] {
  const lines = bytes.toString("latin1").split("\n");
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

// Goal: lines do not depend on how the bytes arrive. Method: every cut of random bytes in
// which line feeds are frequent, against a split of the whole.
test("lines are the same however the input is cut", async () => {
  const byte = fc.oneof(fc.constant(10), fc.constant(13), fc.nat(255));
  await fc.assert(
    fc.asyncProperty(
      fc
        .array(byte, { maxLength: 60 })
        .chain((bytes) =>
          fc.tuple(
            fc.constant(Buffer.from(bytes)),
            fc.array(fc.nat(bytes.length), { maxLength: 5 }),
          ),
        ),
      async ([bytes, cuts]) => {
        assert.deepEqual(await split(bytes, cuts), expected(bytes));
      },
    ),
  );
});

test("empty lines and a last line without a line feed are lines, the end is none", async () => {
  assert.deepEqual(await split(Buffer.from("a\n\n\r\nb"), []), ["a", "", "\r", "b"]);
  assert.deepEqual(await split(Buffer.from("a\n"), []), ["a"]);
  assert.deepEqual(await split(Buffer.from("\n"), []), [""]);
  assert.deepEqual(await split(Buffer.from(""), []), []);
});

test("a sink that makes it wait gets lines one at a time, in order", async () => {
  let underWay = 0;
  const lines: string[] = [];
  const splitter = new LineSplitter(async (source, start, end) => {
    underWay += 1;
    assert.equal(underWay, 1);
    await Promise.resolve();
    lines.push(Buffer.from(source.subarray(start, end)).toString());
    underWay -= 1;
  });
  await splitter.push(Buffer.from("1\n2\n3"));
  await splitter.push(Buffer.from("3\n4\n"));
  assert.deepEqual(lines, ["1", "2", "33", "4"]);
});
