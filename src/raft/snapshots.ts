import type { AppliedState, ApplyLoop } from "./apply-loop.ts";
import type { CoreMessage, CoreSnapshot } from "./core.ts";
import type { CoreDriver } from "./core-driver.ts";
import { CORE_STATE_BYTES_MAX } from "./core-limits.ts";
import { messageSnapshot, messageTerm } from "./core-messages.ts";
import { IncomingSnapshot } from "./incoming-snapshot.ts";
import { membersOf } from "./membership.ts";
import { OutgoingSnapshots } from "./outgoing-snapshots.ts";
import type { RaftHost } from "./raft-host.ts";
import type { RaftNode } from "./raft-node.ts";

export interface SnapshotsParts {
  readonly node: RaftNode;
  readonly topicId: number;
  readonly replicaId: number;
  readonly host: Pick<RaftHost<unknown, unknown>, "captureSnapshot" | "installSnapshot">;
  readonly loop: Pick<
    ApplyLoop<unknown, unknown, unknown>,
    "applied" | "hold" | "release" | "installed"
  >;
  readonly driver: () =>
    | Pick<CoreDriver<unknown>, "with" | "drain" | "isInstalling" | "hardState" | "core">
    | undefined;
  /** Of an entry of the log, durable or not. */
  readonly termAt: (index: number) => number | undefined;
  /** The state is a snapshot's now. */
  readonly onInstalled: () => void;
}

/** Snapshots of one group, both ways. */
export class Snapshots {
  readonly #parts: SnapshotsParts;
  readonly #outgoing = new OutgoingSnapshots();
  readonly #incoming: IncomingSnapshot;

  constructor(parts: SnapshotsParts) {
    this.#parts = parts;
    const { host, loop, topicId, node } = parts;
    this.#incoming = new IncomingSnapshot({
      ...{ host, topicId, logger: node.logger },
      hold: () => loop.hold(),
      release: () => loop.release(),
      step: (message) => this.#step(message),
    });
  }

  get isIdle(): boolean {
    return this.#incoming.isIdle && this.#outgoing.isIdle;
  }

  /** The machine's state at what is applied; undefined when there is none now. */
  capture(): CoreSnapshot | undefined {
    if (!this.#incoming.isIdle) return undefined;
    const captured = this.#parts.host.captureSnapshot();
    if (captured === undefined) return undefined;
    if (captured.data.length > CORE_STATE_BYTES_MAX) {
      const fields = { topicId: this.#parts.topicId, stateBytes: captured.data.length };
      this.#parts.node.logger.error("A state is too large to be sent to a replica", fields);
      return undefined;
    }
    const { index, term, conf } = this.#parts.loop.applied;
    return { index, term, conf, data: captured.data };
  }

  /** One was handed to the network, or not. */
  sent(toReplica: number, isSent: boolean): void {
    this.#outgoing.sent(toReplica, this.#parts.node.tick);
    if (!isSent) this.lost(toReplica);
  }

  progressed(toReplica: number): void {
    this.#outgoing.progressed(toReplica, this.#parts.node.tick);
  }

  /** The replica has said where its log ends. */
  answered(fromReplica: number): void {
    if (this.#outgoing.isIdle) return;
    const progress = this.#parts.driver()?.core.status().progress ?? [];
    const found = progress.find(({ replicaId }) => replicaId === fromReplica);
    if (found?.state !== "snapshot") {
      this.#outgoing.ended(fromReplica);
    } else if (found.match >= found.next - 1) {
      // It is there, and what follows it is not kept any more: the core waits to be told, and sends another one.
      this.lost(fromReplica);
    }
  }

  /** What was sent there, if anything, has not arrived. */
  lost(toReplica: number): void {
    if (!this.#outgoing.ended(toReplica)) return;
    this.#parts.driver()?.with((core) => core.reportSnapshot(toReplica, false));
  }

  tick(): void {
    if (this.#outgoing.isIdle) return;
    const { tick, limits } = this.#parts.node;
    for (const replicaId of this.#outgoing.takeSilent(tick - limits.snapshotTicksMax)) {
      this.#parts.driver()?.with((core) => core.reportSnapshot(replicaId, false));
    }
  }

  /** A leader's message with a snapshot. The core sees it when the records that it stands for are here. */
  offered(
    message: CoreMessage,
    from: { readonly fromNode: string; readonly fromReplica: number },
  ): void {
    const driver = this.#parts.driver();
    const snapshot = messageSnapshot(message);
    if (driver === undefined || snapshot === undefined) return;
    const { index, term, conf, data } = snapshot;
    const { hardState } = driver;
    const isNews =
      index > hardState.commit &&
      messageTerm(message) >= hardState.term &&
      this.#parts.termAt(index) !== term &&
      membersOf(conf).has(this.#parts.replicaId);
    // The core will not take it, and says so to the leader.
    if (!isNews) driver.with((core) => core.step(message));
    else this.#incoming.offer(message, { index, term, conf, data, ...from });
  }

  /** The journal has the mark of a snapshot: it becomes the state. */
  async commit(snapshot: CoreSnapshot): Promise<void> {
    const { index, term, conf } = snapshot;
    const state: AppliedState = { index, term, conf };
    await this.#incoming.commit(snapshot, () => this.#parts.loop.installed(state));
    this.#parts.onInstalled();
    this.#incoming.committed();
  }

  stop(): void {
    this.#incoming.stop();
  }

  /** @returns true when the core takes it */
  #step(message: CoreMessage): boolean {
    const driver = this.#parts.driver();
    if (driver === undefined) return false;
    driver.with((core) => core.step(message));
    driver.drain();
    return driver.isInstalling;
  }
}
