import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { MalformedBytesError } from "../../src/base/bytes.ts";
import {
  type CatalogueCommand,
  decodeCatalogueCommand,
  encodeCatalogueCommand,
} from "../../src/topics/catalogue-commands.ts";
import { CatalogueState } from "../../src/topics/catalogue-state.ts";
import type { CatalogueEntry } from "../../src/topics/catalogue-topics.ts";
import type { WantedPlace } from "../../src/topics/group-placement.ts";
import { runGolden } from "../support/golden.ts";
import { commandsOf, placesOf, serverOf } from "./catalogue-arbitrary.ts";
import { parseCommand } from "./catalogue-script.ts";

const small = (min: number, max: number) => fc.integer({ min, max });

function rarely(odd: string, usual: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc.oneof({ weight: 20, arbitrary: usual }, { weight: 1, arbitrary: fc.constant(odd) });
}

/** Few names, nodes and ids, so that commands meet. */
const command = commandsOf({
  number: fc.nat({ max: 20 }),
  name: fc.constantFrom("default", "a", "a-b", "a.b", "b", "ab", "_cluster"),
  nodeId: rarely("no good", fc.constantFrom("n1", "n2", "n3", "n4", "n5")),
  text: rarely("no\ngood", fc.constantFrom("", "x", "y")),
  topicId: small(0, 5),
  topicCountMax: fc.constantFrom(3, 100),
  replicaId: small(1, 20),
  version: small(0, 4),
  factor: fc.constantFrom(0, 1, 3, 7, 8),
  settings: fc.constantFrom({}, { retentionBytes: 7 }, { replicationFactor: 2 }),
});
const commands = fc.array(command, { maxLength: 80, size: "max" });

const found: CatalogueCommand = {
  ...{ kind: "found", clockUs: 1, clusterId: "c1" },
  server: serverOf("n1"),
};

/** Most commands that must name something of the state name it right: else nearly all would be refused. */
function aimed(command: CatalogueCommand, state: CatalogueState): CatalogueCommand {
  if (command.clockUs % 4 === 0) return command;
  if (command.kind === "create" || command.kind === "place") {
    const isMember = (place: WantedPlace) => state.member(place.nodeId) !== undefined;
    const members = command.places.filter(isMember);
    const places = members.filter(
      ({ nodeId }, at) => members.findIndex((place) => place.nodeId === nodeId) === at,
    );
    if (command.kind === "create") return { ...command, places };
    const placementVersion = state.group(command.topicId)?.placementVersion ?? 1;
    return { ...command, placementVersion, places };
  }
  if (command.kind === "replace") {
    const { placementVersion = 1, replicas = [] } = state.group(command.topicId) ?? {};
    const { replicaId = command.replicaId } = replicas[0] ?? {};
    return { ...command, placementVersion, replicaId };
  }
  if (command.kind !== "left") return command;
  const group = state.group(command.topicId);
  const { placementVersion = 1, leaving = [] } = group ?? {};
  const { replicaId = command.replicaId } = leaving[0] ?? {};
  return { ...command, placementVersion, replicaId };
}

// Goal: every replica gives the same answers, whatever it was restored from in between. Method: two states run
// the same random commands; one is encoded and decoded, and the command too, before each of them.
test("equal states stay equal, and a refused command changes nothing", () => {
  const seen = new Set<string>();
  fc.assert(
    fc.property(commands, (all) => {
      let left = new CatalogueState();
      const right = new CatalogueState();
      for (const rough of [found, ...all]) {
        const next = aimed(rough, right);
        const before = left.encode();
        left = CatalogueState.decode(before);
        assert.deepEqual(left.encode(), before);
        const again = decodeCatalogueCommand(encodeCatalogueCommand(next));
        const outcome = left.apply(again);
        assert.deepEqual(plain(outcome), plain(right.apply(next)));
        assert.deepEqual(left.encode(), right.encode());
        if (outcome.kind === "refused") assert.deepEqual(left.encode(), before);
        seen.add(outcome.kind === "refused" ? outcome.reason : outcome.kind);
      }
      assert.deepEqual(left.members(), right.members());
      assert.deepEqual(plain(left.entries()), plain(right.entries()));
      assert.deepEqual(left.removedNodeIds, right.removedNodeIds);
    }),
    { numRuns: 200 },
  );
  assert.deepEqual([...seen].sort(), EVERYTHING);
});

const EVERYTHING = [
  ...["CLUSTER_FOUNDED", "FIELD_INVALID", "PLACEMENT_STALE", "QUORUM_AT_RISK"],
  ...["SERVER_HAS_REPLICAS", "SERVER_ID_TAKEN", "SERVER_NOT_FOUND", "SERVER_REMOVED"],
  ...["TOPIC_EXISTS", "TOPIC_LIMIT", "TOPIC_NOT_FOUND", "TOPIC_REPLACED", "TOPIC_RESERVED"],
  ...[
    "created",
    "deleted",
    "founded",
    "left",
    "placed",
    "serverAdded",
    "serverRemoved",
    "serverUpdated",
  ],
  "targeted",
].sort();

// Goal: whoever acts on the state can rely on it. Method: after any history the rules below hold, judged by what
// was handed out before.
test("ids are never given twice, groups keep a voter, and no node shall have two replicas of one", () => {
  fc.assert(
    fc.property(commands, (all) => {
      const state = new CatalogueState();
      const holders = new Map<number, string>();
      const gone = new Set<number>();
      let topicIds: number[] = [];
      for (const rough of [found, ...all]) {
        const next = aimed(rough, state);
        state.apply(next);
        const groups = [0, ...state.entries().map(({ id }) => id)];
        const listed = new Set<number>();
        for (const topicId of groups) {
          const group = state.group(topicId) ?? assert.fail();
          const places = [...group.replicas, ...group.leaving];
          const nodes = new Set(group.replicas.map(({ nodeId }) => nodeId));
          assert.equal(nodes.size, group.replicas.length);
          assert.ok(group.replicas.some(({ role }) => role === "voter"));
          for (const { nodeId } of group.replicas) assert.ok(state.member(nodeId));
          for (const { replicaId, nodeId } of places) {
            assert.ok(!listed.has(replicaId) && !gone.has(replicaId), "an id came back");
            assert.ok(replicaId < state.nextReplicaId);
            const holder = `${topicId} ${nodeId}`;
            assert.equal(holders.get(replicaId) ?? holder, holder, "an id moved");
            holders.set(replicaId, holder);
            listed.add(replicaId);
          }
        }
        for (const id of holders.keys()) if (!listed.has(id)) gone.add(id);
        const cluster = state.group(0)?.replicas.map(({ nodeId }) => nodeId);
        assert.deepEqual(
          cluster,
          state.members().map(({ nodeId }) => nodeId),
        );
        for (const { nodeId, clusterReplicaId } of state.members()) {
          assert.equal(holders.get(clusterReplicaId), `0 ${nodeId}`);
          assert.ok(!state.removedNodeIds.includes(nodeId));
        }
        const newIds = groups.filter((id) => id >= (topicIds.at(-1) ?? 0));
        assert.ok(newIds.every((id) => id < state.nextTopicId));
        topicIds = [...new Set([...topicIds, ...groups])].sort((one, other) => one - other);
      }
    }),
    { numRuns: 300 },
  );
});

// Goal: names and pages are right after any history. Method: a twin that keeps a plain list.
test("the catalogue holds what was created and not deleted, and gives no id twice", () => {
  fc.assert(
    fc.property(commands, (all) => {
      const state = new CatalogueState();
      state.apply(found);
      const given: CatalogueEntry[] = [];
      let live: CatalogueEntry[] = [];
      for (const rough of all) {
        const next = aimed(rough, state);
        const outcome = state.apply(next);
        if (outcome.kind === "created") {
          assert.ok(next.kind === "create" && !live.some(({ name }) => name === next.name));
          assert.ok(live.length < next.topicCountMax);
          for (const { id } of given) assert.ok(id < outcome.entry.id);
          given.push(outcome.entry);
          live.push(outcome.entry);
        }
        if (outcome.kind === "deleted") {
          assert.ok(next.kind === "delete" && outcome.entry.name === next.name);
          live = live.filter(({ id }) => id !== outcome.entry.id);
        }
        assert.deepEqual(
          state.entries().map(({ name, id }) => `${name} ${id}`),
          live.map(({ name, id }) => `${name} ${id}`).sort(),
        );
        for (const { name, id } of live) {
          assert.equal(state.get(name)?.id, id);
          assert.equal(state.byId(id)?.name, name);
        }
      }
    }),
    { numRuns: 200 },
  );
});

test("pages are slices of the names in order, whatever prefix and place they begin at", () => {
  const names = fc.uniqueArray(fc.stringMatching(/^[ab.]{1,3}$/), { maxLength: 20 });
  const text = fc.stringMatching(/^[ab.]{0,3}$/);
  fc.assert(
    fc.property(names, text, text, fc.integer({ min: 0, max: 9 }), (all, prefix, after, limit) => {
      const state = new CatalogueState();
      state.apply(found);
      for (const topic of all) state.apply({ ...create, name: topic });
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

const create = {
  ...{ kind: "create" as const, clockUs: 5, topicCountMax: 99, settings: {} },
  places: placesOf("n1"),
};

test("a snapshot that is cut, longer, or of an unknown version is malformed", () => {
  const state = new CatalogueState();
  state.apply(found);
  for (const nodeId of ["n2", "n3"]) {
    state.apply({ kind: "addServer", clockUs: 0, server: serverOf(nodeId) });
  }
  state.apply({ ...create, name: "a" });
  state.apply({ ...create, name: "b", places: placesOf("n1", "n2") });
  state.apply({
    ...{ kind: "place", clockUs: 0, topicId: 2, placementVersion: 1 },
    places: placesOf("n1"),
  });
  state.apply({ kind: "delete", clockUs: 0, name: "a", topicId: 0 });
  state.apply({ kind: "removeServer", clockUs: 0, nodeId: "n3", force: false });
  const bytes = state.encode();
  assert.deepEqual(CatalogueState.decode(bytes).encode(), bytes);
  for (let cut = 0; cut < bytes.length; cut += 1) {
    assert.throws(() => CatalogueState.decode(bytes.subarray(0, cut)), MalformedBytesError);
  }
  assert.throws(() => CatalogueState.decode(Uint8Array.of(...bytes, 0)), /too many/);
  for (const version of [1, 3]) {
    const other = Uint8Array.of(version, ...bytes.subarray(1));
    assert.throws(() => CatalogueState.decode(other), new RegExp(`version ${version}`));
  }
});

test("outcomes and state are those of the golden file", async () => {
  const state = new CatalogueState();
  await runGolden(new URL("testdata/catalogue-state.txt", import.meta.url), {
    apply: (input) =>
      input
        .trimEnd()
        .split("\n")
        .map((line) => JSON.stringify(state.apply(parseCommand(line))))
        .join("\n"),
    snapshot: () =>
      Array.from(state.encode(), (byte) => byte.toString(16).padStart(2, "0"))
        .join(" ")
        .replaceAll(/(.{95}) /g, "$1\n"),
  });
});

/** Without what is undefined, and without prototypes. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}
