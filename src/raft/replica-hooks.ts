import type { ProglogError } from "../base/errors.ts";
import type { Calls } from "./intake.ts";

/** What a replica tells the one who proposes. */
export interface ReplicaHooks<O, C> {
  /** An entry that was proposed here is applied. */
  readonly settled: (calls: Calls<O, C>, outcomes: readonly O[]) => void;
  /** It is not, or nobody will know. */
  readonly refused: (calls: Calls<O, C>, error: ProglogError) => void;
  /** Entries were applied, or who leads has changed. */
  readonly changed: () => void;
  /** Nobody has led for so long that who waits for an entry shall not wait any longer. */
  readonly leaderless: () => void;
  /** Nothing is possible any more. */
  readonly failed: (error: unknown) => void;
}
