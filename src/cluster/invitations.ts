import { hasReason, ProglogError } from "../base/errors.ts";
import type { InviteAnswer, InviteRequest, PeerSelf } from "./peer-host.ts";

/** Addresses that are kept: more would not be needed to find a cluster. */
const ADDRESSES_MAX = 32;

/** What a node that waits for its cluster was told by members of one: where to ask, before its own settings. */
export class Invitations {
  #addresses: readonly string[] = [];

  /** Those of the last invitation, `host:port` each; empty: there was none. */
  get addresses(): readonly string[] {
    return this.#addresses;
  }

  /** @throws SERVER_EXISTS, CLUSTER_FOREIGN when the node belongs to a cluster */
  take({ nodeId, clusterId }: PeerSelf, invitation: InviteRequest): InviteAnswer {
    if (clusterId === "") {
      this.#addresses = invitation.addresses.slice(0, ADDRESSES_MAX);
      return { nodeId };
    }
    if (clusterId === invitation.clusterId) {
      throw new ProglogError(
        "SERVER_EXISTS",
        `Cannot add server "${nodeId}": it belongs to this cluster already`,
        { metadata: { serverId: nodeId } },
      );
    }
    throw new ProglogError(
      "CLUSTER_FOREIGN",
      `Cannot add server "${nodeId}": it belongs to cluster ${clusterId}, wanted one that waits with --join`,
      { metadata: { clusterId } },
    );
  }
}

/** Whether the invited server itself has refused, and not the way to it: it belongs to a cluster. */
export function isRefusedInvitation(error: unknown): boolean {
  return hasReason(error, "SERVER_EXISTS") || hasReason(error, "CLUSTER_FOREIGN");
}
