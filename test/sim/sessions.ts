import type { Operation } from "./history.ts";

export interface SentBatch {
  /** Number, unique in the run. */
  readonly batch: number;
  /** Records. */
  readonly count: number;
}

/** What a client remembers of its producer on one topic. */
export interface Session {
  readonly epoch: number;
  /** Of the next batch. */
  sequence: number;
  /** Sent and without an answer: to be sent again before anything else. */
  open: { readonly batch: SentBatch; readonly operation: Operation } | undefined;
  /** The last ones that were acknowledged, to be sent again now and then. */
  readonly answered: (SentBatch & { readonly sequence: number; readonly first: number })[];
}

export class Sessions {
  readonly #sessions = new Map<string, Session>();
  readonly #epochs = new Map<string, number>();

  of(topicKey: string): Session | undefined {
    return this.#sessions.get(topicKey);
  }

  /** @returns false when the epoch is not a new one */
  opened(topicKey: string, epoch: number): boolean {
    const isNew = epoch > (this.#epochs.get(topicKey) ?? -1);
    this.#epochs.set(topicKey, epoch);
    this.#sessions.set(topicKey, { epoch, sequence: 0, open: undefined, answered: [] });
    return isNew;
  }

  forget(topicKey: string): void {
    this.#sessions.delete(topicKey);
  }
}
