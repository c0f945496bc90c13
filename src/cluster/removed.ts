import { ProglogError } from "../base/errors.ts";
import type { NodeIdentity } from "../storage/node-file.ts";
import type { CatalogueState } from "../topics/catalogue-state.ts";

/** @returns what a server that was removed from its cluster ends with: it would only be in the way */
export function removedError({ nodeId, clusterId }: NodeIdentity, cause?: unknown): ProglogError {
  return new ProglogError(
    "SERVER_REMOVED",
    `Cannot serve: server ${nodeId} was removed from cluster ${clusterId}, and its id never comes back. ` +
      "The data folder is left as it is, for whoever needs something of it; to let this machine in again, " +
      "start it with an empty data folder and --join",
    { metadata: { serverId: nodeId }, cause },
  );
}

/** @throws SERVER_REMOVED when the catalogue says so of this node */
export function refuseRemoved(state: CatalogueState, identity: NodeIdentity): void {
  if (state.isRemoved(identity.nodeId)) throw removedError(identity);
}
