import assert from "node:assert/strict";
import type { Journal } from "../../src/journal/journal.ts";
import type { HardState, ReplicaRecord } from "../../src/journal/journal-types.ts";

/** What a replica must be after some of the operations. */
export interface ModelReplica {
  record: ReplicaRecord;
  /** By index; above {@link ModelReplica.record}'s first snapshot index, checkpoints not counted. */
  readonly entries: Map<number, string>;
}

export type ModelState = Map<number, ModelReplica>;

/** One call of the journal, as the model sees it. */
export type Operation =
  | {
      readonly do: "raft";
      readonly id: number;
      readonly snapshot?: { readonly index: number; readonly term: number };
      readonly entries: readonly { readonly index: number; readonly text: string }[];
      readonly hardState?: HardState;
      /** It must be synced, also with sync "none". */
      readonly isSynced: boolean;
    }
  | { readonly do: "hardState"; readonly id: number; readonly state: HardState }
  | { readonly do: "add"; readonly record: ReplicaRecord }
  | { readonly do: "remove"; readonly id: number };

export function applyOperation(state: ModelState, operation: Operation): void {
  switch (operation.do) {
    case "raft": {
      const replica = state.get(operation.id);
      assert.ok(replica !== undefined);
      const { snapshot, entries, hardState = {} } = operation;
      if (snapshot !== undefined) {
        replica.entries.clear();
        const { index: snapshotIndex, term: snapshotTerm } = snapshot;
        replica.record = { ...replica.record, snapshotIndex, snapshotTerm };
      }
      for (const entry of entries) putEntry(replica, entry);
      replica.record = { ...replica.record, ...hardState };
      return;
    }
    case "hardState": {
      const replica = state.get(operation.id);
      assert.ok(replica !== undefined);
      replica.record = { ...replica.record, ...operation.state };
      return;
    }
    case "add":
      state.set(operation.record.replicaId, { record: operation.record, entries: new Map() });
      return;
    case "remove":
      state.delete(operation.id);
  }
}

function putEntry({ entries }: ModelReplica, entry: { index: number; text: string }): void {
  for (const index of entries.keys()) if (index >= entry.index) entries.delete(index);
  entries.set(entry.index, entry.text);
}

/** A journal's content, in the model's form. */
export async function stateOf(journal: Journal): Promise<ModelState> {
  const state: ModelState = new Map();
  for (const record of journal.replicas()) {
    const entries = new Map<number, string>();
    const { replicaId, snapshotIndex } = record;
    for await (const found of journal.entries(replicaId, snapshotIndex + 1)) {
      entries.set(found.index, new TextDecoder().decode(found.payload));
    }
    assert.equal(entries.size, journal.lastIndex(replicaId) - snapshotIndex);
    assert.ok(record.commit <= journal.lastIndex(replicaId), "commit leads the entries");
    state.set(replicaId, { record, entries });
  }
  await checkOnePass(journal, state);
  return state;
}

/** Reading all replicas in one pass must find the same, each in the order of its indexes. */
async function checkOnePass(journal: Journal, state: ModelState): Promise<void> {
  const next = new Map<number, number>();
  const first = (id: number) => (state.get(id)?.record.snapshotIndex ?? 0) + 1 + (id % 2);
  for await (const found of journal.allEntries(first)) {
    for (const { replicaId: id, index, payload } of found) {
      assert.equal(index, next.get(id) ?? first(id));
      assert.equal(new TextDecoder().decode(payload), state.get(id)?.entries.get(index));
      next.set(id, index + 1);
    }
  }
  for (const id of state.keys()) {
    assert.equal(
      Math.max(next.get(id) ?? 0, first(id)),
      Math.max(journal.lastIndex(id) + 1, first(id)),
    );
  }
}

/** Undefined when `found` is `wanted`, seen from its checkpoints; else the first difference. */
export function difference(
  found: ModelState,
  wanted: ModelState,
  checkpoints: ReadonlyMap<number, ReadonlySet<number>>,
): string | undefined {
  if ([...found.keys()].sort().join() !== [...wanted.keys()].sort().join()) {
    return `replicas ${[...found.keys()]} instead of ${[...wanted.keys()]}`;
  }
  for (const [id, { record, entries }] of found) {
    const other = wanted.get(id);
    assert.ok(other !== undefined);
    for (const key of ["topicId", "term", "vote", "commit"] as const) {
      if (record[key] !== other.record[key]) {
        return `${key} of replica ${id} is ${record[key]} instead of ${other.record[key]}`;
      }
    }
    const { snapshotIndex } = record;
    const { snapshotIndex: wantedIndex, snapshotTerm } = other.record;
    if (snapshotIndex < wantedIndex) return `replica ${id} lacks its snapshot at ${wantedIndex}`;
    if (snapshotIndex > wantedIndex && !checkpoints.get(id)?.has(snapshotIndex)) {
      return `replica ${id} has a checkpoint at ${snapshotIndex} that nobody made`;
    }
    if (snapshotIndex === wantedIndex && record.snapshotTerm !== snapshotTerm) {
      return `the snapshot of replica ${id} has term ${record.snapshotTerm}`;
    }
    const needed = [...other.entries].filter(([index]) => index > snapshotIndex);
    if (needed.length !== entries.size) {
      return `replica ${id} has ${entries.size} entries instead of ${needed.length}`;
    }
    for (const [index, text] of needed) {
      if (entries.get(index) !== text) return `entry ${index} of replica ${id} is another one`;
    }
  }
  return undefined;
}

export function copyOf(state: ModelState): ModelState {
  const result: ModelState = new Map();
  for (const [id, { record, entries }] of state) {
    result.set(id, { record, entries: new Map(entries) });
  }
  return result;
}
