import type { OfferedSnapshot, PreparedSnapshot, RaftHost } from "../raft/raft-host.ts";
import type { AppliedEntry } from "../raft/voter.ts";
import type { Machine } from "../topics/machine.ts";

/** A machine as Raft sees it; how a snapshot comes in is its group's matter. */
export class ReplicaHost<O, C> implements RaftHost<O, C> {
  readonly #machine: Machine<O, C>;
  /** Index of the last command that was applied since the start; 0: none. */
  lastCommandIndex = 0;
  readonly #install: RaftHost<O, C>["installSnapshot"];

  constructor(machine: Machine<O, C>, install: RaftHost<O, C>["installSnapshot"]) {
    this.#machine = machine;
    this.#install = install;
  }

  encode(commands: readonly C[], clockUs: number): Uint8Array {
    return this.#machine.encode(commands, clockUs);
  }

  canShare(command: C): boolean {
    return this.#machine.canShare(command);
  }

  apply(entry: AppliedEntry): readonly O[] {
    this.lastCommandIndex = entry.index;
    return this.#machine.apply(entry);
  }

  canApply(): boolean {
    return this.#machine.canApply();
  }

  whenCanApply(): Promise<void> {
    return this.#machine.whenCanApply();
  }

  written(): Promise<void> {
    return this.#machine.written();
  }

  get isDiskFull(): boolean {
    return this.#machine.isDiskFull;
  }

  captureSnapshot(): { readonly data: Uint8Array } {
    return { data: this.#machine.state.encode() };
  }

  installSnapshot(offered: OfferedSnapshot, signal: AbortSignal): Promise<PreparedSnapshot> {
    return this.#install(offered, signal);
  }
}
