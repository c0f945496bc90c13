import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { CoreEntry, CoreGroup, CoreLog } from "../../src/raft/core.ts";
import { confOf } from "../../src/raft/membership.ts";
import { SoleCore } from "../../src/raft/sole-core.ts";
import { TEST_CORE } from "../support/raft-core.ts";

const REPLICA = 5;
const START = { index: 3, term: 2 };

/** What a driver keeps for a core: durable entries above the start. */
class Log implements CoreLog {
  readonly entriesHeld: CoreEntry[] = [];

  firstIndex(): number {
    return START.index + 1;
  }

  lastIndex(): number {
    return START.index + this.entriesHeld.length;
  }

  termAt(index: number): number | undefined {
    if (index === START.index) return START.term;
    return this.entriesHeld[index - START.index - 1]?.term;
  }

  entries(from: number, end: number): readonly CoreEntry[] | undefined {
    if (from < this.firstIndex()) return undefined;
    return this.entriesHeld.slice(from - START.index - 1, end - START.index - 1);
  }

  snapshot(): undefined {}
}

/** Drives a core as the driver does, and writes down what can be seen of it. */
class Run {
  readonly core: CoreGroup;
  readonly #log = new Log();
  readonly #appends: { readonly job: number; readonly entries: readonly CoreEntry[] }[] = [];
  readonly #applies: number[] = [];
  readonly seen: string[] = [];
  #handed = START.index;

  constructor(open: (log: CoreLog) => CoreGroup) {
    this.core = open(this.#log);
  }

  drain(): void {
    for (let ready = this.core.ready(); ready !== undefined; ready = this.core.ready()) {
      if (ready.soft?.role === 2) this.seen.push(`leads ${ready.soft.leader}`);
      for (const { term, index, data } of ready.entries) {
        this.seen.push(`entry ${term}/${index} ${[...data]}`);
      }
      if (ready.appendJob !== 0) {
        this.#appends.push({ job: ready.appendJob, entries: ready.entries });
      }
      if (ready.applyJob !== 0) {
        assert.equal(ready.commitFirst, this.#handed + 1, "nothing is left out or told twice");
        assert.ok(ready.commitLast <= this.#log.lastIndex(), "only what is durable is committed");
        this.#handed = ready.commitLast;
        this.#applies.push(ready.applyJob);
      }
      for (const { index, context } of ready.reads) this.seen.push(`read ${index} ${[...context]}`);
      assert.deepEqual(ready.messages, []);
    }
  }

  /** The oldest write is durable. */
  store(): void {
    const first = this.#appends.shift();
    if (first === undefined) return;
    this.#log.entriesHeld.push(...first.entries);
    this.core.jobDone(first.job);
    this.drain();
  }

  apply(): void {
    const job = this.#applies.shift();
    if (job === undefined) return;
    this.core.jobDone(job);
    this.drain();
  }

  settle(): void {
    while (this.#appends.length > 0 || this.#applies.length > 0) {
      this.store();
      this.apply();
    }
  }

  get state(): string {
    const { hardState, role, leader, appliedIndex } = this.core.status();
    const { term, vote, commit } = hardState;
    return JSON.stringify({ term, vote, commit, role, leader, appliedIndex, handed: this.#handed });
  }
}

function pair(): readonly [Run, Run] {
  const config = {
    replicaId: REPLICA,
    electionTicks: 10,
    heartbeatTicks: 2,
    appliedIndex: START.index,
    hardState: { term: START.term, vote: 0, commit: START.index },
    conf: confOf([REPLICA]),
    inflightMessagesMax: 64,
    messageBytesMax: 4096,
  };
  return [
    new Run((log) => new SoleCore({ ...config, log })),
    new Run((log) => TEST_CORE.open({ ...config, log })),
  ];
}

test("it does not lead, and takes nothing, before it has campaigned", () => {
  const [sole] = pair();
  assert.equal(sole.core.propose([new Uint8Array([1])]), "dropped");
  assert.equal(sole.core.hasReady, false);
  assert.equal(sole.core.status().leader, 0);
});

test("nothing is committed before it is durable, and jobs that are done out of order are a defect", () => {
  const [sole] = pair();
  sole.core.campaign();
  const first = sole.core.ready();
  sole.core.propose([new Uint8Array([1])]);
  const second = sole.core.ready();
  assert.equal(first?.applyJob, 0);
  assert.equal(second?.applyJob, 0);
  assert.throws(() => sole.core.jobDone(second?.appendJob ?? 0), /out of order/);
});

const step = fc.oneof(
  fc.record({ kind: fc.constant("propose" as const), count: fc.integer({ min: 1, max: 3 }) }),
  fc.constant({ kind: "store" as const }),
  fc.constant({ kind: "apply" as const }),
);

test("a driver sees the same of it as of Raft's own core for a group of one", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const [sole, raft] = pair();
      // The other core leads when its vote is durable, this one at once: vote and first entry are one write.
      for (const run of [sole, raft]) {
        run.core.campaign();
        run.drain();
        run.settle();
      }
      for (const [at, one] of steps.entries()) {
        for (const run of [sole, raft]) {
          if (one.kind === "store") run.store();
          else if (one.kind === "apply") run.apply();
          else {
            const data = Array.from({ length: one.count }, (_, n) => new Uint8Array([at, n]));
            run.seen.push(run.core.propose(data));
          }
          run.drain();
        }
      }
      for (const run of [sole, raft]) run.settle();
      assert.deepEqual(sole.seen, raft.seen);
      assert.equal(sole.state, raft.state);
    }),
    { numRuns: 300 },
  );
});

test("a read is confirmed with what is committed", () => {
  const [sole, raft] = pair();
  for (const run of [sole, raft]) {
    run.core.campaign();
    run.drain();
    run.settle();
    run.core.readIndex(new Uint8Array([9]));
    run.drain();
  }
  assert.deepEqual(sole.seen, raft.seen);
  assert.ok(sole.seen.includes("read 4 9"));
});
