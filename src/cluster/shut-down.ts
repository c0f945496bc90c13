import { hasReason, ProglogError } from "../base/errors.ts";
import type { FolderLock } from "../storage/folder-lock.ts";
import type { NodeIdentity } from "../storage/node-file.ts";
import type { CatalogueGroup } from "./catalogue-group.ts";
import type { ChangeBell } from "./change-bell.ts";
import type { Checkpoints } from "./checkpoints.ts";
import type { ClusterDuties } from "./cluster-duties.ts";
import type { Courier } from "./courier.ts";
import type { Directory } from "./directory.ts";
import type { NodeFailure } from "./node-failure.ts";
import type { NodeNetwork } from "./node-network.ts";
import type { NodeView } from "./node-view.ts";
import type { Reconciler } from "./reconciler.ts";
import type { RetentionTimer } from "./retention-timer.ts";
import type { Scrubber } from "./scrubber.ts";
import type { Throttle } from "./throttle.ts";
import type { TopicContext, TopicGroup } from "./topic-group.ts";
import { forEachOf, orDiskFull } from "./wait.ts";

/** Topics that are checkpointed side by side at a stop. */
const SIDE_BY_SIDE_MAX = 8;

/** What a running node is made of. */
export interface NodeParts {
  readonly lock: FolderLock;
  readonly failure: NodeFailure;
  readonly context: TopicContext;
  readonly catalogue: CatalogueGroup;
  readonly reconciler: Reconciler;
  readonly checkpoints: Checkpoints;
  readonly retention: RetentionTimer;
  readonly scrubber: Scrubber;
  readonly throttle: Throttle;
  readonly network: NodeNetwork;
  /** What goes on in the background between this node and the cluster. */
  readonly duties: ClusterDuties;
  readonly courier: Courier;
  readonly directory: Directory;
  readonly view: NodeView;
  readonly bell: ChangeBell;
  readonly identity: () => NodeIdentity;
}

/**
 * Stops a node. When it is well: finishes what was begun, checkpoints what a start would
 * have to apply again, and says in the journal that this was a clean stop. When the disk
 * is full, or the node has failed, it leaves things as they are: the journal has them.
 */
export async function shutDown(parts: NodeParts): Promise<void> {
  const { context, reconciler, checkpoints, retention, scrubber, throttle, failure, duties } =
    parts;
  const { clock, journal } = context;
  const groups = groupsOf(parts);
  const isStuck = () =>
    failure.reason !== undefined ||
    journal.isDiskFull ||
    groups.some((group) => group.machine.isDiskFull);
  const draining = new ProglogError("DRAINING", "The server is stopping");
  const finish = async () => {
    throttle.close();
    const draining = groups.map((group) => group.raft.drain());
    await duties.close();
    await retention.close();
    await scrubber.close();
    await reconciler.close();
    // With those that were made meanwhile.
    const all = groupsOf(parts);
    await Promise.all([...draining, ...all.map((group) => group.raft.drain())]);
    await checkpoints.close();
    const unsaved = all.filter((group) => group.isWorthSaving);
    await forEachOf(unsaved, SIDE_BY_SIDE_MAX, (group) => group.checkpoint());
  };
  const finished = isStuck() ? Promise.resolve() : finish();
  await orDiskFull(finished, isStuck, clock).catch((error) => failure.report(error));
  for (const { handle } of reconciler.topics()) handle.end(failure.reason ?? draining);
  await release(parts, draining);
}

/** Ends everything at once, as it is. */
export async function release(
  {
    context,
    lock,
    reconciler,
    checkpoints,
    retention,
    scrubber,
    throttle,
    duties,
    network,
    ...parts
  }: NodeParts,
  reason: ProglogError,
): Promise<void> {
  const { journal, logger, raft } = context;
  const groups = groupsOf({ reconciler, ...parts });
  for (const group of groups) group.stop(reason);
  throttle.close();
  raft.stop();
  const closing = [
    network.close(),
    duties.close(),
    retention.close(),
    scrubber.close(),
    reconciler.close(),
    checkpoints.close(),
  ];
  await journal.close();
  for (const group of groups) {
    await group.close().catch((error) => {
      if (hasReason(error, "DISK_FAILED")) return;
      logger.warn("A log was closed before all was written; the journal has it", {}, error);
    });
  }
  await Promise.allSettled(closing);
  await lock.release().catch((error) => {
    // All is saved, and the lock of a process that is gone is taken over.
    logger.warn("The folder's lock was not removed", {}, error);
  });
}

function groupsOf({
  catalogue,
  reconciler,
}: Pick<NodeParts, "catalogue" | "reconciler">): (CatalogueGroup | TopicGroup)[] {
  return [catalogue, ...reconciler.topics().map(({ group }) => group)];
}
