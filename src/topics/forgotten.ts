import type { TopicCommand } from "./commands.ts";

/** What decided a command and was lost with the checkpoint. */
export type Forgotten = "producers" | "fencing token";

/**
 * Tells which of the commands after a lost checkpoint come out as they did before, though the
 * producers and the fencing token that only it knew are forgotten. The others must not be
 * judged anew: what was acknowledged would be refused, and what was refused appended.
 */
export class ForgottenState {
  readonly #appliedIndex: number;
  readonly #opened = new Set<string>();

  /** @param appliedIndex last entry whose part of the state is forgotten */
  constructor(appliedIndex: number) {
    this.#appliedIndex = appliedIndex;
  }

  /**
   * To be called with each command after it, in order, up to the first one that was decided by
   * something forgotten.
   *
   * @returns undefined when the command's outcome is the same without it
   */
  decided(command: TopicCommand): Forgotten | undefined {
    if (command.kind === "open") this.#opened.add(command.producerId);
    if (command.kind !== "append") return undefined;
    const { producer, fencingToken } = command;
    if (fencingToken !== undefined) return "fencing token";
    if (producer === undefined) return undefined;
    // Of a producer opened since then everything is known, also when the table forgets it: it does so
    // when 4,096 others were used later, and those were opened since then too, or this had ended before.
    const isKnown = producer.epoch > this.#appliedIndex || this.#opened.has(producer.id);
    return isKnown ? undefined : "producers";
  }
}
