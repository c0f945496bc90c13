import { assert } from "../base/assert.ts";
import {
  decodeCatalogueCommand,
  encodeCatalogueCommand,
  type ProposedCatalogueCommand,
} from "./catalogue-commands.ts";
import type { CatalogueOutcome } from "./catalogue-outcomes.ts";
import type { CatalogueState } from "./catalogue-state.ts";
import type { Captured, Machine, MachineEntry } from "./machine.ts";

/** The catalogue as a machine: all of it is in its checkpoint, it has no other files. */
export class Catalogue implements Machine<CatalogueOutcome, ProposedCatalogueCommand> {
  readonly state: CatalogueState;
  readonly isDiskFull = false;

  constructor(state: CatalogueState) {
    this.state = state;
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
    return [this.state.apply(decodeCatalogueCommand(entry.payload))];
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
