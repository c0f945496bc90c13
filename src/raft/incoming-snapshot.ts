import { assert } from "../base/assert.ts";
import type { Logger } from "../base/log.ts";
import type { CoreMessage, CoreSnapshot } from "./core.ts";
import type { OfferedSnapshot, PreparedSnapshot, RaftHost } from "./raft-host.ts";

export interface IncomingSnapshotParts {
  readonly host: Pick<RaftHost<unknown, never>, "installSnapshot">;
  readonly logger: Logger;
  readonly topicId: number;
  /** Nothing is applied from when this resolves until `release`. */
  readonly hold: () => Promise<void>;
  readonly release: () => void;
  /** Hands the leader's message to the core. @returns true when it will become the group's state */
  readonly step: (message: CoreMessage) => boolean;
}

/**
 * A leader's snapshot on its way in, one at a time. The records that it stands for come first; the core
 * sees it only then, so that this replica never says that it has what it has not.
 */
export class IncomingSnapshot {
  readonly #parts: IncomingSnapshotParts;
  readonly #abort = new AbortController();
  #isBusy = false;
  #prepared: PreparedSnapshot | undefined;

  constructor(parts: IncomingSnapshotParts) {
    this.#parts = parts;
  }

  get isIdle(): boolean {
    return !this.#isBusy;
  }

  /** Begins with it, unless another one is under way: then it is dropped, as the network may do. */
  offer(message: CoreMessage, offered: OfferedSnapshot): void {
    if (this.#isBusy || this.#abort.signal.aborted) return;
    this.#isBusy = true;
    const { logger, topicId } = this.#parts;
    const fields = { topicId, index: offered.index, fromNode: offered.fromNode };
    logger.info("A replica is behind and takes a snapshot", fields);
    this.#take(message, offered).catch((error) => {
      if (!this.#abort.signal.aborted) logger.warn("A snapshot was not taken", fields, error);
    });
  }

  /** The journal has its mark. `adopted` is called when the machine is what it says. */
  async commit(snapshot: CoreSnapshot, adopted: () => void): Promise<void> {
    const prepared = this.#prepared;
    assert(prepared !== undefined, `Snapshot ${snapshot.index} was not prepared`);
    let isAdopted = false;
    const adopt = () => {
      if (isAdopted) return;
      isAdopted = true;
      adopted();
    };
    await prepared.commit(adopt);
    adopt();
    this.#prepared = undefined;
  }

  /** It is in its place. */
  committed(): void {
    this.#isBusy = false;
    this.#parts.release();
  }

  stop(): void {
    this.#abort.abort();
  }

  async #take(message: CoreMessage, offered: OfferedSnapshot): Promise<void> {
    let isAccepted = false;
    try {
      await this.#parts.hold();
      this.#abort.signal.throwIfAborted();
      const prepared = await this.#parts.host.installSnapshot(offered, this.#abort.signal);
      this.#abort.signal.throwIfAborted();
      this.#prepared = prepared;
      isAccepted = this.#parts.step(message);
      if (isAccepted || this.#abort.signal.aborted) return;
      this.#prepared = undefined;
      await prepared.abort();
    } finally {
      if (!isAccepted) this.committed();
    }
  }
}
