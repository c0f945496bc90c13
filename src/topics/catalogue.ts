import { decodeCatalogueCommand } from "./catalogue-commands.ts";
import type { CatalogueOutcome, CatalogueState } from "./catalogue-state.ts";
import type { Captured, Machine, MachineEntry } from "./machine.ts";

/** The catalogue as a machine: all of it is in its checkpoint, it has no other files. */
export class Catalogue implements Machine<CatalogueOutcome> {
  readonly state: CatalogueState;
  readonly isDiskFull = false;

  constructor(state: CatalogueState) {
    this.state = state;
  }

  apply(entry: MachineEntry): CatalogueOutcome {
    return this.state.apply(decodeCatalogueCommand(entry.payload));
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

  captureTrim(): undefined {
    return undefined;
  }

  async sync(): Promise<void> {}

  async freeBefore(): Promise<void> {}

  async close(): Promise<void> {}
}
