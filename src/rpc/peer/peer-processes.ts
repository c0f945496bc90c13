import type { Clock } from "../../base/clock.ts";
import { ProglogError } from "../../base/errors.ts";

export interface PeerProcessesOptions {
  readonly clock: Clock;
  /** A process that was not heard for so long may have gone without a word. */
  readonly silentMs: number;
  /** So long it may still be heard then: after this process stood still, what came meanwhile is to be read. */
  readonly doubtMs: number;
}

/** A process's streams, one after the other or side by side, as the one who reads them sees it. */
export interface PeerProcess {
  /** Something came. @throws SERVER_ID_IN_USE when another process has taken its place */
  heard(): void;
  /** One of its streams has ended: call once for each {@link PeerProcesses.entered}. */
  left(): void;
}

interface Known extends PeerProcess {
  readonly nonce: bigint;
  streamCount: number;
  heardMs: number;
  /** Since when another one wants its place, which it has not been heard since; undefined: none does. */
  doubtedMs: number | undefined;
}

/**
 * Which process is which server. Two that say to be the same one run on copies of one data folder: the
 * second is refused as long as the first is there, since votes and acknowledgements of both would count as one's.
 */
export class PeerProcesses {
  readonly #options: PeerProcessesOptions;
  /** Those with streams here, by server. */
  readonly #known = new Map<string, Known>();

  constructor(options: PeerProcessesOptions) {
    this.#options = options;
  }

  /** @throws SERVER_ID_IN_USE when another process is that server, or may be */
  check(serverId: string, nonce: bigint): void {
    const known = this.#known.get(serverId);
    if (known === undefined || known.nonce === nonce) return;
    const { clock, silentMs, doubtMs } = this.#options;
    const nowMs = clock.monotonicMs();
    if (nowMs - known.heardMs <= silentMs) throw inUse(serverId);
    known.doubtedMs ??= nowMs;
    if (nowMs - known.doubtedMs < doubtMs) throw inUse(serverId);
  }

  /** A stream of that process begins. @throws SERVER_ID_IN_USE */
  entered(serverId: string, nonce: bigint): PeerProcess {
    this.check(serverId, nonce);
    let process = this.#known.get(serverId);
    if (process?.nonce !== nonce) process = this.#make(serverId, nonce);
    this.#known.set(serverId, process);
    process.streamCount += 1;
    process.heard();
    return process;
  }

  #make(serverId: string, nonce: bigint): Known {
    const process: Known = {
      ...{ nonce, streamCount: 0, heardMs: 0, doubtedMs: undefined },
      heard: () => {
        if (this.#known.get(serverId) !== process) throw inUse(serverId);
        process.heardMs = this.#options.clock.monotonicMs();
        process.doubtedMs = undefined;
      },
      left: () => {
        process.streamCount -= 1;
        const isLast = process.streamCount === 0;
        if (isLast && this.#known.get(serverId) === process) this.#known.delete(serverId);
      },
    };
    return process;
  }
}

export function inUse(serverId: string): ProglogError {
  return new ProglogError(
    "SERVER_ID_IN_USE",
    `Cannot take messages: another process is connected as server "${serverId}"`,
    { metadata: { serverId } },
  );
}
