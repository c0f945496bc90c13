import { describe, test } from "node:test";
import type { RaftCore } from "../../src/raft/core.ts";
import { CoreCluster } from "../raft/core-cluster.ts";
import { FAILURES } from "./raft-core-failures.ts";
import { MEMBERS } from "./raft-core-members.ts";
import { REPLICATION } from "./raft-core-replication.ts";

/** One implementation of {@link RaftCore} under the suite. */
export interface RaftCoreSubject {
  readonly name: string;
  /** A core of its own for each test. */
  readonly make: () => RaftCore;
}

/** A test of the suite; makes the replicas that it wants. */
export type RaftCoreCase = (
  make: (voters: readonly number[], learners?: readonly number[]) => CoreCluster,
) => void;

/** What every implementation must do; the contract is in src/raft/core.ts. */
export function raftCoreSuite(subject: RaftCoreSubject): void {
  describe(`Raft core: ${subject.name}`, () => {
    const groups = [FAILURES, REPLICATION, MEMBERS];
    for (const [name, run] of groups.flatMap((group) => Object.entries(group))) {
      test(name, () => {
        const core = subject.make();
        run((voters, learners) => new CoreCluster(core, voters, learners));
      });
    }
  });
}
