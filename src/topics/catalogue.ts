import { assert } from "../base/assert.ts";
import {
  decodeCatalogueCommand,
  encodeCatalogueCommand,
  type ProposedCatalogueCommand,
} from "./catalogue-commands.ts";
import type { CatalogueOutcome } from "./catalogue-outcomes.ts";
import { CatalogueState } from "./catalogue-state.ts";
import type { Captured, Machine, MachineEntry } from "./machine.ts";

/** The catalogue as a machine: all of it is in its checkpoint, it has no other files. */
export class Catalogue implements Machine<CatalogueOutcome, ProposedCatalogueCommand> {
  readonly state: CatalogueState;
  readonly isDiskFull = false;
  readonly canCapture = true;
  readonly #onChanged: () => void;

  /** @param onChanged called after each command, and when a snapshot has come; must not throw */
  constructor(state: CatalogueState, onChanged: () => void) {
    this.state = state;
    this.#onChanged = onChanged;
  }

  encode(commands: readonly ProposedCatalogueCommand[], clockUs: number): Uint8Array {
    const [command] = commands;
    assert(command !== undefined && commands.length === 1, "A catalogue entry has one command");
    return encodeCatalogueCommand({ ...command, clockUs });
  }

  canShare(): boolean {
    return false;
  }

  apply(entry: MachineEntry): readonly CatalogueOutcome[] {
    const outcome = this.state.apply(decodeCatalogueCommand(entry.payload));
    this.#onChanged();
    return [outcome];
  }

  canApply(): boolean {
    return true;
  }

  async whenCanApply(): Promise<void> {}

  async written(): Promise<void> {}

  capture(): Captured {
    const extent = { segments: [] };
    return { startOffset: 0, nextOffset: 0, extent, state: this.state.encode() };
  }

  async bring(state: Uint8Array): Promise<Captured> {
    // Only to see that it can be read.
    CatalogueState.decode(state);
    return { startOffset: 0, nextOffset: 0, extent: { segments: [] }, state };
  }

  async abandon(): Promise<void> {}

  become({ state }: Captured): void {
    this.state.become(CatalogueState.decode(state));
    this.#onChanged();
  }

  captureTrim(): undefined {
    return undefined;
  }

  async sync(): Promise<void> {}

  async freeBefore(): Promise<void> {}

  async close(): Promise<void> {}
}
