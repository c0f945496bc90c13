import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { MalformedBytesError } from "../../src/base/bytes.ts";
import type { CatalogueCommand } from "../../src/topics/catalogue-commands.ts";
import { type CatalogueEntry, CatalogueState } from "../../src/topics/catalogue-state.ts";
import { runGolden } from "../support/golden.ts";

const name = fc.constantFrom("default", "a", "a-b", "a.b", "b", "ab", "z", "_cluster");

const command: fc.Arbitrary<CatalogueCommand> = fc.oneof(
  fc.record({
    kind: fc.constant("create" as const),
    clockUs: fc.nat({ max: 20 }),
    name: name.filter((text) => text !== "_cluster"),
    topicCountMax: fc.constantFrom(4, 100),
    settings: fc.constantFrom({}, { retentionBytes: 7 }),
  }),
  fc.record({
    kind: fc.constant("delete" as const),
    clockUs: fc.constant(0),
    name,
    topicId: fc.constantFrom(0, 0, 1, 2, 3),
  }),
  fc.record({
    kind: fc.constant("removed" as const),
    clockUs: fc.constant(0),
    topicId: fc.integer({ min: 1, max: 6 }),
  }),
);

// Goal: names, ids and pages are right after any history. Method: a twin that keeps a plain list and never
// forgets which ids were given.
test("the catalogue holds what was created and not deleted, and gives no id twice", () => {
  fc.assert(
    fc.property(fc.array(command, { maxLength: 60 }), (commands) => {
      const state = new CatalogueState();
      const given: CatalogueEntry[] = [];
      let live: CatalogueEntry[] = [];
      let departing: number[] = [];
      for (const next of commands) {
        const before = state.encode();
        const outcome = state.apply(next);
        const holder = next.kind === "removed" ? undefined : live.find((t) => t.name === next.name);
        if (outcome.kind === "refused") assert.deepEqual(state.encode(), before);
        switch (outcome.kind) {
          case "created":
            assert.ok(next.kind === "create" && holder === undefined);
            assert.ok(live.length < next.topicCountMax);
            for (const { id, replicaId } of given) {
              assert.ok(id < outcome.entry.id && replicaId < outcome.entry.replicaId);
            }
            given.push(outcome.entry);
            live.push(outcome.entry);
            break;
          case "deleted":
            assert.equal(outcome.departing.id, holder?.id);
            live = live.filter((topic) => topic !== holder);
            departing.push(outcome.departing.id);
            break;
          case "removed":
            if (next.kind === "removed") departing = departing.filter((id) => id !== next.topicId);
            break;
          case "refused":
            assert.equal(outcome.reason, reasonOf(next, holder));
        }
        const names = live.map((topic) => topic.name).sort();
        assert.deepEqual(
          state.entries().map((topic) => topic.name),
          names,
        );
        assert.deepEqual(
          state.departing().map((topic) => topic.id),
          departing,
        );
      }
      const restored = CatalogueState.decode(state.encode());
      assert.deepEqual(restored.encode(), state.encode());
      assert.deepEqual(restored.entries(), state.entries());
      const create = { kind: "create" as const, clockUs: 0, name: "new", topicCountMax: 100 };
      assert.deepEqual(
        restored.apply({ ...create, settings: {} }),
        state.apply({ ...create, settings: {} }),
      );
    }),
    { numRuns: 300 },
  );
});

function reasonOf(command: CatalogueCommand, holder: CatalogueEntry | undefined): string {
  if (command.kind === "create") return holder === undefined ? "TOPIC_LIMIT" : "TOPIC_EXISTS";
  assert.ok(command.kind === "delete");
  if (command.name === "default" || command.name === "_cluster") return "TOPIC_RESERVED";
  return holder === undefined ? "TOPIC_NOT_FOUND" : "TOPIC_REPLACED";
}

test("pages are slices of the names in order, whatever prefix and place they begin at", () => {
  const names = fc.uniqueArray(fc.stringMatching(/^[ab.]{1,3}$/), { maxLength: 20 });
  const text = fc.stringMatching(/^[ab.]{0,3}$/);
  fc.assert(
    fc.property(names, text, text, fc.integer({ min: 0, max: 9 }), (all, prefix, after, limit) => {
      const state = new CatalogueState();
      for (const topic of all) {
        state.apply({ kind: "create", clockUs: 0, name: topic, topicCountMax: 99, settings: {} });
      }
      const wanted = all
        .toSorted()
        .filter((topic) => topic.startsWith(prefix) && topic > after)
        .slice(0, limit);
      const got = state.list({ prefix, after, limit }).map((topic) => topic.name);
      assert.deepEqual(got, wanted);
    }),
    { numRuns: 500 },
  );
});

test("a snapshot that is cut, longer, or of an unknown version is malformed", () => {
  const state = new CatalogueState();
  const create = { kind: "create" as const, clockUs: 5, topicCountMax: 9, settings: {} };
  state.apply({ ...create, name: "a" });
  state.apply({ ...create, name: "b" });
  state.apply({ kind: "delete", clockUs: 0, name: "a", topicId: 0 });
  const bytes = state.encode();
  for (let cut = 0; cut < bytes.length; cut += 1) {
    assert.throws(() => CatalogueState.decode(bytes.subarray(0, cut)), MalformedBytesError);
  }
  assert.throws(() => CatalogueState.decode(Uint8Array.of(...bytes, 0)), /too many/);
  assert.throws(() => CatalogueState.decode(Uint8Array.of(9, ...bytes.subarray(1))), /version 9/);
});

test("outcomes and state are those of the golden file", async () => {
  const state = new CatalogueState();
  await runGolden(new URL("testdata/catalogue-state.txt", import.meta.url), {
    apply: (input) =>
      input
        .trimEnd()
        .split("\n")
        .map((line) => JSON.stringify(state.apply(parse(line))))
        .join("\n"),
    snapshot: () =>
      Array.from(state.encode(), (byte) => byte.toString(16).padStart(2, "0")).join(" "),
  });
});

/** `create NAME clock=N [max=N]`, `delete NAME [id=N]`, `removed id=N`. */
function parse(line: string): CatalogueCommand {
  const [kind, ...words] = line.split(" ");
  const pairs = new Map(words.map((word) => word.split("=") as [string, string]));
  const number = (key: string, fallback: number) => Number(pairs.get(key) ?? fallback);
  const clockUs = number("clock", 0);
  if (kind === "removed") return { kind, clockUs, topicId: number("id", 0) };
  const topic = words[0] ?? "";
  if (kind === "delete") return { kind, clockUs, name: topic, topicId: number("id", 0) };
  const settings = JSON.parse(pairs.get("settings") ?? "{}");
  return { kind: "create", clockUs, name: topic, topicCountMax: number("max", 9), settings };
}
