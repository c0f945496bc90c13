import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import { pauseUnlessAborted } from "./abortable-pause.ts";
import type { GenesisAnswer, PeerCalls } from "./peer-host.ts";

/** Between two rounds over the seeds. */
const ROUND_MS = 500;
/** Rounds between two lines in the log that say what is missing. */
const ROUNDS_PER_LINE = 20;
const ASK_TIMEOUT_MS = 2_000;

export interface BootstrapOptions {
  readonly peers: Pick<PeerCalls, "promiseGenesis">;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly nodeId: string;
  /** The id that the cluster gets should this node found it. */
  readonly clusterId: string;
  /** All of them, this node's own address too; sorted. */
  readonly seeds: readonly string[];
  /** A member has asked this node to join its cluster. */
  readonly isInvited: () => boolean;
  /** Aborted when the node stops. */
  readonly signal: AbortSignal;
}

/** Who begins: this node, or there is a cluster already. */
export type Beginning = "found" | "join";

/**
 * Waits until the cluster has its founder: the node with the lowest id of those behind the seeds, once
 * all of them have promised it the right. A node behind a seed that belongs to a cluster ends the wait too.
 *
 * @throws what `signal` was aborted with
 */
export async function awaitBeginning(options: BootstrapOptions): Promise<Beginning> {
  const { seeds, clock, logger, signal } = options;
  for (let round = 0; ; round += 1) {
    signal.throwIfAborted();
    if (options.isInvited()) return "join";
    const { answers, silent } = await askAll(options, "");
    if (answers.some(({ clusterId }) => clusterId !== "")) return "join";
    if (silent.length === 0 && (await isFounder(options, answers))) return "found";
    if (round % ROUNDS_PER_LINE === 0) {
      logger.info("Waiting for the servers that begin the cluster", {
        seeds: seeds.join(","),
        silent: silent.join(","),
      });
    }
    await pauseUnlessAborted(clock, ROUND_MS, signal);
  }
}

/** True when this node may found the cluster, and has everybody's word for it. */
async function isFounder(
  options: BootstrapOptions,
  answers: readonly GenesisAnswer[],
): Promise<boolean> {
  const { nodeId, seeds } = options;
  const ids = new Set(answers.map((answer) => answer.nodeId));
  // Two names of one node are not two nodes.
  if (ids.size < seeds.length || !ids.has(nodeId)) return false;
  const promised = answers.find(({ promisedNodeId }) => promisedNodeId !== "")?.promisedNodeId;
  const founder = promised ?? [...ids].sort()[0];
  if (founder !== nodeId) return false;
  const { answers: promises } = await askAll(options, nodeId);
  return (
    promises.length === seeds.length &&
    promises.every(({ promisedNodeId, clusterId }) => promisedNodeId === nodeId && clusterId === "")
  );
}

async function askAll(
  { peers, seeds, clusterId, signal, logger }: BootstrapOptions,
  founderId: string,
): Promise<{ readonly answers: GenesisAnswer[]; readonly silent: string[] }> {
  const answers: GenesisAnswer[] = [];
  const silent: string[] = [];
  const request = { founderId, clusterId, seeds };
  await Promise.all(
    seeds.map(async (seed) => {
      try {
        const timeout = { timeoutMs: ASK_TIMEOUT_MS, signal };
        answers.push(await peers.promiseGenesis(seed, request, timeout));
      } catch (error) {
        silent.push(seed);
        logger.debug("A seed did not answer", { seed, why: `${error}` });
      }
    }),
  );
  return { answers, silent };
}
