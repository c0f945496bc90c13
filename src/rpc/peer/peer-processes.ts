import type { Clock } from "../../base/clock.ts";
import { ProglogError } from "../../base/errors.ts";

/** A process that says to be a server, as far as it has streams here. */
export interface PeerProcess {
  readonly nonce: bigint;
  streamCount: number;
  heardMs: number;
}

/**
 * Which process is which server. Two that say to be the same one run on copies of one data folder: the
 * second is refused as long as the first is there, since votes and acknowledgements of both would count as one's.
 */
export class PeerProcesses {
  readonly #clock: Clock;
  readonly #freshMs: number;
  readonly #current = new Map<string, PeerProcess>();

  /** @param freshMs one that was not heard for so long may have gone without a word */
  constructor(clock: Clock, freshMs: number) {
    this.#clock = clock;
    this.#freshMs = freshMs;
  }

  /** @throws SERVER_ID_IN_USE when another process is that server */
  check(serverId: string, nonce: bigint): void {
    const known = this.#current.get(serverId);
    if (known === undefined || known.nonce === nonce || known.streamCount === 0) return;
    if (this.#clock.monotonicMs() - known.heardMs > this.#freshMs) return;
    throw inUse(serverId);
  }

  /** A stream of that process begins. Call {@link left} at its end. @throws SERVER_ID_IN_USE */
  entered(serverId: string, nonce: bigint): PeerProcess {
    this.check(serverId, nonce);
    let process = this.#current.get(serverId);
    if (process?.nonce !== nonce) process = { nonce, streamCount: 0, heardMs: 0 };
    this.#current.set(serverId, process);
    process.streamCount += 1;
    process.heardMs = this.#clock.monotonicMs();
    return process;
  }

  /** Something came from it. @throws SERVER_ID_IN_USE when another one has taken its place meanwhile */
  heard(serverId: string, process: PeerProcess): void {
    if (this.#current.get(serverId) !== process) throw inUse(serverId);
    process.heardMs = this.#clock.monotonicMs();
  }

  left(serverId: string, process: PeerProcess): void {
    process.streamCount -= 1;
    if (process.streamCount > 0 || this.#current.get(serverId) !== process) return;
    this.#current.delete(serverId);
  }
}

function inUse(serverId: string): ProglogError {
  return new ProglogError(
    "SERVER_ID_IN_USE",
    `Cannot take messages: another process is connected as server "${serverId}"`,
    { metadata: { serverId } },
  );
}
