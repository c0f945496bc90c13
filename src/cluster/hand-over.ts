import { passLeadership } from "./furthest-voter.ts";
import type { NodeParts } from "./shut-down.ts";

/** Longest time for it: an election among the others takes about as long. */
const HAND_OVER_MS = 2_000;

/** Lets other voters lead the groups that are led here, all at once; those that cannot are left to an election. */
export async function handOver({ context, catalogue, reconciler }: NodeParts): Promise<void> {
  const groups = [catalogue, ...reconciler.topics().map(({ group }) => group)];
  const led = groups.filter(({ raft }) => raft.role === "leader" && raft.conf.voters.length > 1);
  if (led.length === 0) return;
  const transfers = led.map(passLeadership);
  let cancel = () => {};
  const late = new Promise<void>((resolve) => {
    cancel = context.clock.schedule(HAND_OVER_MS, resolve);
  });
  await Promise.race([Promise.allSettled(transfers), late]);
  cancel();
}
