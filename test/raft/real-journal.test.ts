import assert from "node:assert/strict";
import { test } from "node:test";
import { SILENT_LOGGER } from "../../src/base/log.ts";
import { MIB } from "../../src/base/units.ts";
import { Journal } from "../../src/journal/journal.ts";
import { Admission } from "../../src/raft/admission.ts";
import { confOf } from "../../src/raft/membership.ts";
import { RaftGroup } from "../../src/raft/raft-group.ts";
import { RaftNode } from "../../src/raft/raft-node.ts";
import { integerFrom, makeRandom, SeededRandom, seedsFromEnv } from "../support/prng.ts";
import { SimClock, settle } from "../support/sim-clock.ts";
import { SimFileSystem } from "../support/sim-file-system.ts";
import { makeCore } from "./raft-core.ts";
import { Recorder } from "./recorder.ts";
import { settled } from "./settled.ts";

const REPLICA = 1;
const LANE = { bytesMax: 1e9, laneBytesMax: 1e9, waitingBytesMax: 1e9, waitingCountMax: 1e6 };

/** A group of one on a simulated disk. */
async function open(
  fs: SimFileSystem,
  seed: number,
  saved = { applied: [] as string[], index: 1, term: 1 },
) {
  const clock = new SimClock();
  const failures: unknown[] = [];
  const onFailure = (error: unknown) => failures.push(error);
  const journal = await Journal.open({
    ...{ fs, clock, logger: SILENT_LOGGER, onFailure, sync: "always" },
    random: new SeededRandom(seed),
    fileBytes: 64 * 1024,
  });
  if (journal.replica(REPLICA) === undefined) {
    await journal.addReplica({
      ...{ replicaId: REPLICA, topicId: 1, term: 1, vote: 0, commit: 1 },
      ...{ snapshotIndex: 1, snapshotTerm: 1 },
    });
  }
  const node = new RaftNode({
    ...{ core: makeCore(seed, clock), clock, logger: SILENT_LOGGER, onFailure },
    transport: { send: () => false },
    nodeOf: () => undefined,
  });
  const machine = new Recorder(saved.applied, saved.index);
  const group = new RaftGroup<string, string>({
    ...{ node, journal, host: machine, clock, topicId: 1, replicaId: REPLICA },
    ...{ conf: confOf([REPLICA]), appliedIndex: saved.index, appliedTerm: saved.term, onFailure },
    lane: new Admission(LANE).lane(),
    onPoisoned: onFailure,
  });
  node.start();
  const recovered = group.recover();
  await settle();
  await clock.advance(2000);
  await recovered;
  const propose = (text: string, makesRoom = false) => {
    const call = group.propose(text, { bytes: text.length, makesRoom });
    call.catch(() => {});
    return call;
  };
  return { journal, clock, group, machine, node, failures, propose };
}

for (const seed of seedsFromEnv(5)) {
  test(`a group of one loses nothing in the real journal, and applies nothing twice (SEED=${seed})`, async () => {
    const random = makeRandom(seed);
    let fs = new SimFileSystem(random);
    let saved = { applied: [] as string[], index: 1, term: 1 };
    const acknowledged: string[] = [];
    let next = 1;
    for (let life = 0; life < 8; life += 1) {
      const { group, machine, journal, clock, node, failures, propose } = await open(
        fs,
        seed * 100 + life,
        saved,
      );
      assert.equal(group.role, "leader");
      for (const text of acknowledged) assert.ok(machine.applied.includes(text), `${text} is lost`);
      assert.equal(new Set(machine.applied).size, machine.applied.length);
      for (let round = integerFrom(random, 1, 30); round > 0; round -= 1) {
        for (let count = integerFrom(random, 1, 5); count > 0; count -= 1) {
          const text = `${random() < 0.3 ? "C" : "c"}${next}`;
          next += 1;
          propose(text).then(
            () => acknowledged.push(text),
            () => {},
          );
        }
        if (random() < 0.7) await clock.advance(1);
        if (random() < 0.1) {
          saved = {
            applied: [...machine.applied],
            index: group.appliedIndex,
            term: group.appliedTerm,
          };
          journal.setCheckpoint(REPLICA, saved.index, saved.term);
        }
      }
      assert.deepEqual(failures, []);
      node.stop();
      fs.crash();
      fs = fs.reopen();
    }
    assert.ok(acknowledged.length > 50);
  });
}

test("with a full disk a group of one refuses, makes room, and has no gap afterwards", async () => {
  const fs = new SimFileSystem(makeRandom(1));
  const first = await open(fs, 1);
  fs.setCapacity(fs.usedBytes);
  const calls: Promise<string>[] = [];
  for (let at = 0; at < 60; at += 1) {
    calls.push(first.propose(`B${at}${"X".repeat(4000)}`));
    if (at % 7 === 0) await settle();
  }
  await first.clock.advance(1000);
  const outcomes = await Promise.all(calls.map((call) => settled(call)));
  const refusedFrom = outcomes.findIndex((outcome) => outcome.startsWith("DISK_FULL"));
  assert.ok(refusedFrom > 0 && first.journal.isDiskFull, "there was always room");
  assert.ok(outcomes.slice(refusedFrom).every((outcome) => outcome === "DISK_FULL"));
  const trim = first.propose("TRIM", true);
  await first.clock.advance(1000);
  assert.equal(await settled(trim), "did TRIM");
  fs.setCapacity(100 * MIB);
  await first.clock.advance(3000);
  const last = first.propose("c");
  await first.clock.advance(100);
  assert.equal(await settled(last), "did c");
  assert.deepEqual(first.failures, []);
  const { applied } = first.machine;
  assert.equal(applied.length, refusedFrom + 2);
  first.node.stop();
  fs.crash();
  const second = await open(fs.reopen(), 2);
  assert.deepEqual(second.machine.applied, applied);
  assert.deepEqual(second.failures, []);
});
