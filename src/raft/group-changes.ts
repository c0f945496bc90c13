import type { ProglogError } from "../base/errors.ts";
import type { ConfEntries } from "./conf-entries.ts";
import type { ConfChange, ConfState } from "./core.ts";
import type { CoreDriver } from "./core-driver.ts";
import type { Hibernation } from "./hibernation.ts";
import type { Leadership } from "./leadership.ts";
import { confChangePending, notAVoter, transferFailed } from "./raft-errors.ts";
import type { NodeGroup, RaftNode } from "./raft-node.ts";

export interface GroupChangesParts {
  readonly node: RaftNode;
  readonly group: NodeGroup;
  readonly leadership: Leadership;
  readonly hibernation: Pick<Hibernation, "touch">;
  readonly confEntries: ConfEntries;
  readonly driver: () => Pick<CoreDriver<unknown>, "with" | "drain" | "core"> | undefined;
  /** See `RaftReplica.growUp`. */
  readonly growUp: () => Promise<void>;
  readonly applied: () => { readonly index: number; readonly conf: ConfState };
  readonly term: () => number;
  readonly notLeader: () => ProglogError;
  /** Somebody waits for a change of membership. */
  readonly isChanging: () => boolean;
  readonly whenChanged: (index: number, term: number) => Promise<void>;
}

/** Who belongs to a group, and who leads it, as its leader changes that on demand. */
export class GroupChanges {
  readonly #parts: GroupChangesParts;

  constructor(parts: GroupChangesParts) {
    this.#parts = parts;
  }

  /** See `RaftGroup.changeConf`. */
  async changeConf(changes: readonly ConfChange[]): Promise<void> {
    const { leadership, confEntries, group, notLeader } = this.#parts;
    if (!leadership.isLeader) throw notLeader();
    await this.#parts.growUp();
    const driver = this.#parts.driver();
    if (driver === undefined || !leadership.isLeader) throw notLeader();
    this.#parts.hibernation.touch();
    if (this.#parts.isChanging()) throw confChangePending(group.topicId);
    driver.drain();
    const isProposed = driver.core.proposeConfChange(changes, new Uint8Array(0)) === "ok";
    driver.drain();
    if (!leadership.isLeader) throw notLeader();
    const index = confEntries.last;
    if (!isProposed || index === undefined) throw confChangePending(group.topicId);
    if (index > this.#parts.applied().index) {
      await this.#parts.whenChanged(index, this.#parts.term());
    }
  }

  /** See `RaftGroup.transferLeadership`. */
  async transferLeadership(toReplica: number): Promise<void> {
    const { leadership, node, group, notLeader } = this.#parts;
    if (!leadership.isLeader) throw notLeader();
    if (!this.#parts.applied().conf.voters.includes(toReplica)) {
      throw notAVoter(group.topicId, toReplica);
    }
    if (toReplica === group.replicaId) return;
    this.#parts.hibernation.touch();
    const moved = leadership.whenLeading(toReplica, node.tick + node.limits.electionTicks);
    this.#parts.driver()?.with((core) => core.transferLeader(toReplica));
    await moved;
  }

  /** Begins an election, if it may. */
  campaign(): void {
    this.#parts.driver()?.with((core) => core.campaign());
  }

  /** Gives up the leadership, whoever may have it next. */
  stepDown(): void {
    this.#parts.hibernation.touch();
    this.#parts.driver()?.with((core) => core.forgetLeader());
  }

  tick(): void {
    const { leadership, node, group } = this.#parts;
    leadership.tick(node.tick, (toReplica) => transferFailed(group.topicId, toReplica));
  }
}
