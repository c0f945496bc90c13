import type { ProglogError } from "../../src/base/errors.ts";
import { SILENT_LOGGER } from "../../src/base/log.ts";
import { Journal } from "../../src/journal/journal.ts";
import type {
  AppendOptions,
  JournalOptions,
  NewEntry,
  RaftWrite,
  ReplicaRecord,
} from "../../src/journal/journal-types.ts";
import type { FileSystem } from "../../src/platform/file-system.ts";
import { makeRandom, SeededRandom } from "../support/prng.ts";
import { SimClock } from "../support/sim-clock.ts";
import { SimFileSystem } from "../support/sim-file-system.ts";

/** Small files, so that a test sees many of them. */
export const FILE_BYTES = 64 * 1024;

export interface Opened {
  readonly journal: Journal;
  readonly clock: SimClock;
  /** What `onFailure` was called with. */
  readonly failures: Error[];
}

export async function openJournal(
  fs: FileSystem,
  options: Partial<JournalOptions> & { readonly seed?: number } = {},
): Promise<Opened> {
  const { seed = 1, ...rest } = options;
  const clock = new SimClock();
  const failures: Error[] = [];
  const journal = await Journal.open({
    fs,
    clock,
    random: new SeededRandom(seed),
    logger: SILENT_LOGGER,
    fileBytes: FILE_BYTES,
    sync: "always",
    onFailure: (error) => failures.push(error),
    ...rest,
  });
  return { journal, clock, failures };
}

/** A journal on a simulated disk with the new replicas 1 to `count`, and nothing left to do. */
export async function openWithReplicas(
  count: number,
  { diskSeed = 1, ...options }: Partial<JournalOptions> & { readonly diskSeed?: number } = {},
): Promise<Opened & { readonly fs: SimFileSystem }> {
  const fs = new SimFileSystem(makeRandom(diskSeed));
  const opened = await openJournal(fs, options);
  const ids = Array.from({ length: count }, (_, at) => at + 1);
  await Promise.all(ids.map((id) => opened.journal.addReplica(newReplica(id))));
  await opened.journal.idle();
  return { ...opened, fs };
}

/** A replica that was just made: its log begins after the virtual entry 1 of term 1. */
export function newReplica(replicaId: number, change: Partial<ReplicaRecord> = {}): ReplicaRecord {
  return {
    replicaId,
    topicId: replicaId + 100,
    term: 1,
    vote: replicaId,
    commit: 1,
    snapshotIndex: 1,
    snapshotTerm: 1,
    ...change,
  };
}

/** An entry, and whose it is. */
export interface EntryInput extends NewEntry {
  readonly replicaId: number;
}

export function entry(replicaId: number, index: number, payload: string, term = 1): EntryInput {
  return { replicaId, index, term, kind: 0, payload: [new TextEncoder().encode(payload)] };
}

/** A payload of that size that says whose it is. */
export function payloadOf(replicaId: number, index: number, bytes: number): string {
  return `${replicaId}:${index};`.padEnd(bytes, ".");
}

/** Rejects with what `done` was called with. Those of one replica stand together and are one write. */
export async function append(
  journal: Journal,
  entries: readonly EntryInput[],
  options?: AppendOptions,
): Promise<void> {
  const writes = Map.groupBy(entries, ({ replicaId }) => replicaId);
  await Promise.all(
    [...writes].map(([replicaId, own]) =>
      appendRaft(journal, { replicaId, entries: own }, options),
    ),
  );
}

/** As {@link append} of one entry, for who wants to know just when it is told. */
export function appendTelling(
  journal: Journal,
  { replicaId, ...own }: EntryInput,
  done: (error?: ProglogError) => void,
): void {
  journal.appendRaft({ replicaId, entries: [own] }, done);
}

/** An entry of a {@link RaftWrite}. */
export function newEntry(index: number, payload: string, term = 1): NewEntry {
  return { index, term, kind: 0, payload: [new TextEncoder().encode(payload)] };
}

/** As {@link append}. */
export function appendRaft(
  journal: Journal,
  write: Partial<RaftWrite> & { readonly replicaId: number },
  options?: AppendOptions,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (error?: ProglogError) => (error === undefined ? resolve() : reject(error));
    journal.appendRaft({ entries: [], ...write }, done, options);
  });
}

/** What a promise came to, also when nobody waits for it yet. */
export interface Outcome {
  state: "waiting" | "done" | "failed";
  error: unknown;
}

export function outcomeOf(promise: Promise<unknown>): Outcome {
  const outcome: Outcome = { state: "waiting", error: undefined };
  promise.then(
    () => {
      outcome.state = "done";
    },
    (error: unknown) => {
      outcome.state = "failed";
      outcome.error = error;
    },
  );
  return outcome;
}

/** All that a journal holds, as lines for a comparison: replicas, then their entries. */
export async function contentOf(journal: Journal): Promise<string[]> {
  const lines: string[] = [];
  for (const record of journal.replicas()) {
    const { replicaId: id, term, vote, commit, snapshotIndex, snapshotTerm, topicId } = record;
    lines.push(
      `replica ${id} topic=${topicId} term=${term} vote=${vote} commit=${commit} ` +
        `snapshot=${snapshotIndex}/${snapshotTerm}`,
    );
    for (const line of await entriesOf(journal, id)) lines.push(`  ${line}`);
  }
  return lines;
}

export async function entriesOf(journal: Journal, replicaId: number): Promise<string[]> {
  const lines: string[] = [];
  for await (const found of journal.entries(replicaId, journal.firstIndex(replicaId))) {
    const text = new TextDecoder().decode(found.payload);
    lines.push(`${found.index}/${found.term} ${text.replace(/\.+$/, "")}`);
  }
  return lines;
}
