import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type EntryPlace, EntryTable } from "../../src/journal/entry-table.ts";
import { LiveCounts } from "../../src/journal/live-counts.ts";

function place(index: number, file: number, term = 1): EntryPlace {
  return { index, term, kind: index % 256, file, position: index * 64, payloadBytes: index };
}

test("an entry too far from the others is refused and changes nothing", () => {
  const table = new EntryTable(new LiveCounts());
  assert.ok(table.set(place(10, 1)));
  assert.equal(table.set(place(10 + 2 ** 23, 1)), false);
  assert.equal(table.lastIndex, 10);
  assert.ok(table.set(place(2 ** 40, 1)) === false);
});

test("a hole is found wherever it is, and none when entries follow each other", () => {
  const table = new EntryTable(new LiveCounts());
  assert.equal(table.holeAbove(7), undefined);
  for (const index of [10, 11, 14]) table.set(place(index, 1));
  assert.equal(table.holeAbove(8), 9);
  assert.equal(table.holeAbove(9), 12);
  table.set(place(12, 1));
  assert.equal(table.holeAbove(9), 13);
  table.set(place(13, 1));
  assert.equal(table.holeAbove(9), undefined);
});

// Goal: the ring of columns behaves as a map does. Method: random commands on both.
type Command =
  | { readonly do: "set"; readonly index: number; readonly file: number }
  | { readonly do: "append"; readonly count: number; readonly file: number }
  | { readonly do: "dropFrom" | "dropThrough"; readonly index: number }
  | { readonly do: "clear" };

const index = fc.integer({ min: 1, max: 120 });
const file = fc.integer({ min: 1, max: 5 });
const command: fc.Arbitrary<Command> = fc.oneof(
  fc.record({ do: fc.constant("set" as const), index, file }),
  fc.record({ do: fc.constant("append" as const), count: fc.integer({ min: 1, max: 30 }), file }),
  fc.record({ do: fc.constantFrom("dropFrom" as const, "dropThrough" as const), index }),
  fc.record({ do: fc.constant("clear" as const) }),
);

test("the table holds what a plain map would", () => {
  fc.assert(
    fc.property(fc.array(command, { maxLength: 60 }), (commands) => {
      const counts = new LiveCounts();
      const table = new EntryTable(counts);
      const twin = new Map<number, EntryPlace>();
      for (const one of commands) run(one, table, twin);
      const indexes = [...twin.keys()].sort((left, right) => left - right);
      for (let at = 0; at <= 200; at += 1) assert.deepEqual(table.at(at), twin.get(at));
      for (let of = 1; of <= 5; of += 1) {
        const inFile = indexes.filter((at) => twin.get(at)?.file === of);
        assert.equal(counts.of(of), inFile.length);
        assert.deepEqual(table.indexesIn(of), inFile);
        assert.equal(table.hasEntryIn(of), inFile.length > 0);
      }
      if (indexes.length > 0) assert.equal(table.lastIndex, indexes.at(-1));
    }),
    { numRuns: 500 },
  );
});

function run(one: Command, table: EntryTable, twin: Map<number, EntryPlace>): void {
  switch (one.do) {
    case "set":
      table.set(place(one.index, one.file));
      twin.set(one.index, place(one.index, one.file));
      return;
    case "append":
      for (let count = 0; count < one.count; count += 1) {
        const next = Math.max(0, ...twin.keys()) + 1;
        if (next > 190) return;
        table.set(place(next, one.file));
        twin.set(next, place(next, one.file));
      }
      return;
    case "dropFrom":
      table.dropFrom(one.index);
      for (const at of [...twin.keys()]) if (at >= one.index) twin.delete(at);
      return;
    case "dropThrough":
      table.dropThrough(one.index);
      for (const at of [...twin.keys()]) if (at <= one.index) twin.delete(at);
      return;
    case "clear":
      table.clear();
      twin.clear();
  }
}
