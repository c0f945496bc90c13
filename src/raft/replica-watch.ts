import type { CoreGroup } from "./core.ts";
import type { CoreDriver } from "./core-driver.ts";
import type { GroupChanges } from "./group-changes.ts";
import type { Hibernation } from "./hibernation.ts";
import type { Leadership } from "./leadership.ts";
import { membersOf } from "./membership.ts";
import type { RaftHost } from "./raft-host.ts";
import type { RaftJournal } from "./raft-journal.ts";
import type { NodeGroup, RaftNode } from "./raft-node.ts";
import type { Reads } from "./reads.ts";
import { Shedding } from "./shedding.ts";
import type { Snapshots } from "./snapshots.ts";

/** What a watch needs to know of its replica. */
export interface WatchedReplica extends NodeGroup {
  readonly leadership: Leadership;
  readonly changes: GroupChanges;
  readonly snapshots: Snapshots;
  /** Nobody else belongs to the group. */
  readonly isSole: boolean;
  readonly isOnlyVoter: boolean;
  readonly isReady: boolean;
  readonly applied: { readonly conf: Parameters<typeof membersOf>[0] };
  status(): ReturnType<CoreGroup["status"]> | undefined;
}

type WatchedDriver = Pick<CoreDriver<unknown>, "with" | "retry" | "isHeld" | "oldestWriteTick">;

export interface ReplicaWatchParts {
  readonly node: RaftNode;
  readonly replica: WatchedReplica;
  readonly journal: Pick<RaftJournal, "isDiskFull">;
  readonly host: Pick<RaftHost<unknown, unknown>, "isDiskFull">;
  readonly reads: Reads;
  readonly hibernation: Hibernation;
  readonly driver: () => WatchedDriver | undefined;
  /** Whoever waits for the replica looks again. */
  readonly changed: () => void;
  /** Nobody has led for so long that who waits for an entry shall not wait any longer. */
  readonly leaderless: () => void;
}

/** What becomes of a replica by time alone, and when a node cannot be reached. */
export class ReplicaWatch {
  readonly #parts: ReplicaWatchParts;
  readonly #shedding: Shedding;
  #leaderlessTicks = 0;

  constructor(parts: ReplicaWatchParts) {
    this.#parts = parts;
    const { node, replica, driver } = parts;
    const { topicId, replicaId } = replica;
    this.#shedding = new Shedding({
      ...{ node, topicId, replicaId },
      status: () => replica.status(),
      transfer: (to) => driver()?.with((core) => core.transferLeader(to)),
      stepDown: () => replica.changes.stepDown(),
    });
  }

  /** @returns true when the core is to be ticked */
  beforeTick(): boolean {
    const { node, replica, journal, host, reads, hibernation, changed } = this.#parts;
    const driver = this.#parts.driver();
    if (driver === undefined) return false;
    driver.retry();
    reads.tick();
    replica.snapshots.tick();
    replica.changes.tick();
    const { isSole, isReady, leadership } = replica;
    // An only voter waits for its own disk, and knows.
    const isLeaderless = leadership.leaderReplicaId === undefined && !replica.isOnlyVoter;
    this.#leaderlessTicks = isLeaderless ? this.#leaderlessTicks + 1 : 0;
    if (this.#leaderlessTicks === node.limits.forsakenTicks) this.#parts.leaderless();
    // Its vote or first entry may wait for room on the disk.
    if (!isReady && replica.isOnlyVoter) changed();
    if (!leadership.isLeader) {
      this.#shedding.reset();
      return !this.#isHung(driver);
    }
    if (isSole) {
      if (isReady && !driver.isHeld && reads.isIdle) node.rest(replica);
      return false;
    }
    const isHung = this.#isHung(driver);
    if (isHung || journal.isDiskFull || host.isDiskFull) this.#shedding.tick(isHung);
    hibernation.tick();
    return true;
  }

  unreachable(nodeId: string): void {
    const { node, replica, hibernation } = this.#parts;
    const driver = this.#parts.driver();
    if (driver === undefined) return;
    for (const replicaId of membersOf(replica.applied.conf)) {
      if (replicaId === replica.replicaId) continue;
      if (node.nodeOf(replica.topicId, replicaId) !== nodeId) continue;
      hibernation.touch();
      replica.snapshots.lost(replicaId);
      if (!replica.leadership.isLeader) continue;
      driver.with((core) => core.reportUnreachable(replicaId));
    }
  }

  /** A write, of whatever group, has been on its way for so long that the disk seems to hang. */
  #isHung({ oldestWriteTick }: WatchedDriver): boolean {
    const { node } = this.#parts;
    const { tick, limits } = node;
    if (oldestWriteTick !== undefined && tick - oldestWriteTick > limits.diskHungTicks) {
      node.diskHangs();
    }
    return node.isDiskHung;
  }
}
