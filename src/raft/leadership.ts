import type { ProglogError } from "../base/errors.ts";
import { CoreRole } from "./core.ts";

interface Transfer {
  readonly replicaId: number;
  readonly endTick: number;
  readonly resolve: () => void;
  readonly reject: (error: ProglogError) => void;
}

/** Who leads a group, as this replica knows it, and who waits for that to change. */
export class Leadership {
  role: CoreRole = CoreRole.follower;
  /** Undefined: nobody known. */
  leaderReplicaId: number | undefined;
  #transfers: Transfer[] = [];

  get isLeader(): boolean {
    return this.role === CoreRole.leader;
  }

  get isTransferring(): boolean {
    return this.#transfers.length > 0;
  }

  changed(leader: number, role: CoreRole): void {
    this.role = role;
    this.leaderReplicaId = leader === 0 ? undefined : leader;
    const moved = this.#transfers.filter(({ replicaId }) => replicaId === leader);
    if (moved.length === 0) return;
    this.#transfers = this.#transfers.filter(({ replicaId }) => replicaId !== leader);
    for (const { resolve } of moved) resolve();
  }

  /** Resolves when that replica is known to lead. */
  whenLeading(replicaId: number, endTick: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#transfers.push({ replicaId, endTick, resolve, reject });
    });
  }

  /** Gives up what takes too long. */
  tick(now: number, failure: (replicaId: number) => ProglogError): void {
    if (this.#transfers.length === 0) return;
    const late = this.#transfers.filter(({ endTick }) => endTick <= now);
    this.#transfers = this.#transfers.filter(({ endTick }) => endTick > now);
    for (const { replicaId, reject } of late) reject(failure(replicaId));
  }

  stop(reason: ProglogError): void {
    for (const { reject } of this.#transfers.splice(0)) reject(reason);
  }
}
