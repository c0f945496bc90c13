import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { Journal } from "../journal/journal.ts";
import type { TopicGroup } from "./topic-group.ts";
import { orDiskFull } from "./wait.ts";

/**
 * Applies what the journal has beyond the groups' checkpoints, in one pass over its
 * files: group by group a thousand topics would have it read a thousand times over.
 *
 * Only saves time. What is left out here, since a group has no room on a full disk or the
 * pass met something odd, is done or told by each group's own `recover`.
 */
export async function replayJournal(
  parts: { readonly journal: Journal; readonly clock: Clock; readonly logger: Logger },
  groups: readonly TopicGroup[],
): Promise<void> {
  const { journal, clock, logger } = parts;
  const waiting = new Map(groups.map((group) => [group.replicaId, group]));
  const fromIndex = (replicaId: number): number => {
    const group = waiting.get(replicaId);
    return group === undefined ? Number.POSITIVE_INFINITY : group.raft.appliedIndex + 1;
  };
  try {
    for await (const entries of journal.allEntries(fromIndex)) {
      for (const entry of entries) {
        const group = waiting.get(entry.replicaId);
        if (group === undefined) continue;
        const { machine } = group;
        if (!machine.canApply()) {
          await orDiskFull(machine.whenCanApply(), () => machine.isDiskFull, clock);
        }
        if (!group.raft.replay(entry)) waiting.delete(entry.replicaId);
      }
    }
  } catch (error) {
    logger.debug("The journal is read topic by topic", { why: `${error}` });
  }
}
