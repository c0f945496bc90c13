/** Makes damaged records of one topic's log good again; `cluster/topic-mender.ts` asks other replicas for them. */
export interface Mender {
  /**
   * Resolves when that was tried; of several calls for one place only the first one does it. Never rejects.
   * @returns true when the record at `offset` should be read once more
   */
  mend(offset: number): Promise<boolean>;
  /** Nothing is begun any more, and what is under way is given up. */
  close(): void;
}
