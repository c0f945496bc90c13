/** Snapshots that were sent and of which nothing was heard yet: the core sends nothing else until it is told. */
export class OutgoingSnapshots {
  /** Tick of the last sign of life, by replica. */
  readonly #ticks = new Map<number, number>();

  get isIdle(): boolean {
    return this.#ticks.size === 0;
  }

  sent(replicaId: number, tick: number): void {
    this.#ticks.set(replicaId, tick);
  }

  /** The replica is at it. */
  progressed(replicaId: number, tick: number): void {
    if (this.#ticks.has(replicaId)) this.#ticks.set(replicaId, tick);
  }

  /** @returns true when one was on its way there */
  ended(replicaId: number): boolean {
    return this.#ticks.delete(replicaId);
  }

  /** Takes the replicas of which nothing was heard since before `tick`. */
  takeSilent(tick: number): readonly number[] {
    const silent: number[] = [];
    for (const [replicaId, last] of this.#ticks) {
      if (last < tick) silent.push(replicaId);
    }
    for (const replicaId of silent) this.#ticks.delete(replicaId);
    return silent;
  }
}
