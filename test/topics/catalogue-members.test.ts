import assert from "node:assert/strict";
import { test } from "node:test";
import { CatalogueState } from "../../src/topics/catalogue-state.ts";
import {
  brokenField,
  KNOWN_SERVER_COUNT_MAX,
  MEMBER_COUNT_MAX,
  type ServerInfo,
} from "../../src/topics/members.ts";
import { serverOf } from "./catalogue-arbitrary.ts";

function founded(): CatalogueState {
  const state = new CatalogueState();
  state.apply({ kind: "found", clockUs: 0, clusterId: "c1", server: serverOf("n1") });
  return state;
}

function add(state: CatalogueState, nodeId: string) {
  return state.apply({ kind: "addServer", clockUs: 0, server: serverOf(nodeId) });
}

test("a field of a server that is too long, or not of its characters, is refused by name", () => {
  const edges: [keyof ServerInfo, string | number, string | number][] = [
    ["nodeId", "n".repeat(64), "n".repeat(65)],
    ["nodeId", "A.b_c-9", "a b"],
    ["nodeId", "n", ""],
    ["address", "a".repeat(300), "a".repeat(301)],
    ["address", "[::1]:8400", "a:1\n"],
    ["address", "", "ä:1"],
    ["zone", "z".repeat(64), "z".repeat(65)],
    ["zone", "", "rack/1"],
    ["version", "v".repeat(64), "v".repeat(65)],
    ["version", "1.0.0-rc.1+b", "1 0"],
    ["folderNonce", "0f".repeat(32), "0".repeat(65)],
    ["folderNonce", "", "0F"],
    ["featureLevel", 2 ** 32 - 1, 2 ** 32],
  ];
  for (const [field, good, bad] of edges) {
    assert.equal(brokenField(serverOf("n2", { [field]: good })), undefined, `${field} ${good}`);
    const server = serverOf("n2", { [field]: bad });
    assert.equal(brokenField(server), field, `${bad}`);
    const refused = { kind: "refused", reason: "FIELD_INVALID", metadata: { field } };
    assert.deepEqual(founded().apply({ kind: "addServer", clockUs: 0, server }), refused);
    const found = { kind: "found", clockUs: 0, clusterId: "c1", server } as const;
    assert.deepEqual(new CatalogueState().apply(found), refused);
  }
  const found = { kind: "found", clockUs: 0, clusterId: "", server: serverOf("n1") } as const;
  const metadata = { field: "clusterId" };
  assert.deepEqual(new CatalogueState().apply(found), {
    ...{ kind: "refused", reason: "FIELD_INVALID" },
    metadata,
  });
});

test("a cluster has a limit of members, which another one does not pass", () => {
  const state = founded();
  for (let number = 2; number <= MEMBER_COUNT_MAX; number += 1) {
    assert.equal(add(state, `n${number}`).kind, "serverAdded");
  }
  assert.deepEqual(add(state, "one-more"), limited(MEMBER_COUNT_MAX));
  const again = add(state, "n2");
  assert.ok(again.kind === "serverAdded" && !again.isNew);
  assert.deepEqual(CatalogueState.decode(state.encode()).encode(), state.encode());
});

test("removed servers are remembered up to a limit, and a member can always be removed", () => {
  const state = founded();
  for (let number = 2; number < KNOWN_SERVER_COUNT_MAX; number += 1) {
    add(state, `n${number}`);
    state.apply({ kind: "removeServer", clockUs: 0, nodeId: `n${number}`, force: false });
    if (number % 100 === 0) {
      // Nothing keeps what has left, so that the catalogue stays small.
      for (const { replicaId } of state.group(0)?.leaving ?? []) left(state, replicaId);
    }
  }
  assert.equal(add(state, "last").kind, "serverAdded");
  assert.deepEqual(add(state, "one-more"), limited(KNOWN_SERVER_COUNT_MAX));
  const remove = { kind: "removeServer", clockUs: 0, nodeId: "last", force: false } as const;
  assert.equal(state.apply(remove).kind, "serverRemoved");
  assert.deepEqual(add(state, "one-more"), limited(KNOWN_SERVER_COUNT_MAX));
  assert.equal(state.removedNodeIds.length, KNOWN_SERVER_COUNT_MAX - 1);
});

test("the feature level is the highest that every member knows", () => {
  const state = new CatalogueState();
  assert.equal(state.featureLevel, 0);
  const server = serverOf("n1", { featureLevel: 3 });
  state.apply({ kind: "found", clockUs: 0, clusterId: "c1", server });
  assert.equal(state.featureLevel, 3);
  add(state, "n2");
  assert.equal(state.featureLevel, 1);
  state.apply({ kind: "addServer", clockUs: 0, server: serverOf("n2", { featureLevel: 4 }) });
  assert.equal(state.featureLevel, 3);
});

function left(state: CatalogueState, replicaId: number): void {
  const placementVersion = state.group(0)?.placementVersion ?? 0;
  state.apply({ kind: "left", clockUs: 0, topicId: 0, placementVersion, replicaId });
}

function limited(serverCountMax: number) {
  const metadata = { serverCountMax: `${serverCountMax}` };
  return { kind: "refused", reason: "SERVER_LIMIT", metadata };
}
