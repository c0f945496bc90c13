import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { ReplaceCommand } from "../topics/catalogue-commands.ts";
import type { CatalogueEntry } from "../topics/catalogue-topics.ts";
import type { PeerCalls } from "./peer-host.ts";

/** Between two attempts: the others may be starting. */
const AGAIN_MS = 5_000;
const ASK_TIMEOUT_MS = 5_000;

export interface ReplacementsParts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly peers: Pick<PeerCalls, "copyRange">;
  /** Replicas here whose files cannot be used. */
  readonly damaged: () => readonly { readonly topicId: number; readonly replicaId: number }[];
  /** As the catalogue has it. */
  readonly topic: (topicId: number) => CatalogueEntry | undefined;
  readonly replace: (command: ReplaceCommand, signal: AbortSignal) => Promise<void>;
}

/**
 * Has replicas here that could not be opened replaced by new ones, which copy everything from the others. Only
 * when a majority of the topic's voters serves it: what is damaged here may be all there is otherwise.
 */
export class Replacements {
  readonly #parts: ReplacementsParts;
  #dueMs = 0;

  constructor(parts: ReplacementsParts) {
    this.#parts = parts;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, damaged } = this.#parts;
    const nowMs = clock.monotonicMs();
    const replicas = damaged();
    if (replicas.length === 0 || nowMs < this.#dueMs) return;
    this.#dueMs = nowMs + AGAIN_MS;
    for (const { topicId, replicaId } of replicas) await this.#replace(topicId, replicaId, signal);
  }

  async #replace(topicId: number, replicaId: number, signal: AbortSignal): Promise<void> {
    const { logger, replace, topic } = this.#parts;
    const entry = topic(topicId);
    const isWanted = entry?.replicas.some((place) => place.replicaId === replicaId) ?? false;
    if (entry === undefined || !isWanted || entry.leaving.length > 0) return;
    const { placementVersion, name } = entry;
    if (!(await this.#isServed(entry, replicaId, signal))) return;
    logger.warn("A damaged replica is replaced by a new one, which copies all from the others", {
      topic: name,
      replicaId,
    });
    await replace({ kind: "replace", topicId, placementVersion, replicaId }, signal);
  }

  /** A majority of the voters is open elsewhere. */
  async #isServed(
    { id: topicId, replicas }: CatalogueEntry,
    fromReplica: number,
    signal: AbortSignal,
  ): Promise<boolean> {
    const voters = replicas.filter(({ role }) => role === "voter");
    const others = voters.filter(({ replicaId }) => replicaId !== fromReplica);
    const answers = await Promise.all(
      others.map(async ({ nodeId, replicaId: toReplica }) => {
        // None of its records is asked for: only whether they could be.
        const request = { topicId, fromReplica, toReplica, firstOffset: 0, endOffset: 0 };
        const options = { timeoutMs: ASK_TIMEOUT_MS, signal };
        try {
          for await (const _ of this.#parts.peers.copyRange(nodeId, request, options)) break;
          return true;
        } catch {
          return false;
        }
      }),
    );
    return answers.filter((isOpen) => isOpen).length > voters.length / 2;
  }
}
