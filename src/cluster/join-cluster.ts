import type { Clock } from "../base/clock.ts";
import { hasReason, type ProglogError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { pauseUnlessAborted } from "./abortable-pause.ts";
import type { JoinAnswer, JoinRequest, PeerCalls } from "./peer-host.ts";

const PAUSE_MS_MIN = 200;
const PAUSE_MS_MAX = 2_000;
const JOIN_TIMEOUT_MS = 10_000;
/** Rounds over all seeds between two lines in the log. */
const ROUNDS_PER_LINE = 10;

export interface JoinOptions {
  readonly peers: Pick<PeerCalls, "join">;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Servers to ask, one after the other: asked for at each round, since members move. */
  readonly addresses: () => readonly string[];
  readonly request: JoinRequest;
  /** Aborted when the node stops. */
  readonly signal: AbortSignal;
}

/**
 * Asks members, again and again, until one takes this node in; repeating it later says where the node
 * is now. Seeds that cannot be reached or have no leader are tried again for ever: they may be starting.
 *
 * @throws CLUSTER_FOREIGN, SERVER_ID_TAKEN, SERVER_REMOVED: no other answer is to be hoped for; what
 *   `signal` was aborted with
 */
export async function joinCluster(options: JoinOptions): Promise<JoinAnswer> {
  const { peers, clock, logger, addresses, request, signal } = options;
  let pauseMs = PAUSE_MS_MIN;
  for (let round = 0; ; round += 1) {
    let why = "no address is known";
    const queue = [...addresses()];
    const asked = new Set<string>();
    for (let address = queue.shift(); address !== undefined; address = queue.shift()) {
      if (asked.has(address)) continue;
      asked.add(address);
      signal.throwIfAborted();
      try {
        return await peers.join(address, request, { timeoutMs: JOIN_TIMEOUT_MS, signal });
      } catch (error) {
        if (isFinal(error)) throw error;
        why = `${address}: ${error instanceof Error ? error.message : error}`;
        // Only who leads can take this node in.
        if (hasReason(error, "NOT_LEADER")) queue.unshift(...leaderIn(error));
      }
    }
    signal.throwIfAborted();
    if (round % ROUNDS_PER_LINE === 0) {
      logger.info("Waiting to be taken into the cluster", { why });
    }
    await pauseUnlessAborted(clock, pauseMs, signal);
    pauseMs = Math.min(PAUSE_MS_MAX, pauseMs * 2);
  }
}

function leaderIn(error: ProglogError): readonly string[] {
  const { leaderAddress } = error.metadata;
  return leaderAddress === undefined ? [] : [leaderAddress];
}

function isFinal(error: unknown): boolean {
  return (
    hasReason(error, "CLUSTER_FOREIGN") ||
    hasReason(error, "SERVER_ID_TAKEN") ||
    hasReason(error, "SERVER_REMOVED")
  );
}
