import type { CatalogueState } from "../topics/catalogue-state.ts";
import { CATALOGUE_TOPIC_ID } from "../topics/catalogue-state.ts";
import type { JoinAnswer } from "./peer-host.ts";

/** Where nodes are, and which replica is on which: as the catalogue says, and before it is here as the one said who took this node in. */
export class Directory {
  readonly #addresses = new Map<string, string>();
  readonly #clusterReplicas = new Map<number, string>();
  /** Where members say that they are now, though the catalogue does not know it yet, and what it said then. */
  readonly #moved = new Map<string, { readonly to: string; readonly from: string }>();
  #state: CatalogueState | undefined;

  /** From now on the catalogue is asked first. */
  follow(state: CatalogueState): void {
    this.#state = state;
  }

  /** What a new member is told. */
  learn({ members }: JoinAnswer): void {
    for (const { nodeId, address, clusterReplicaId } of members) {
      this.#addresses.set(nodeId, address);
      this.#clusterReplicas.set(clusterReplicaId, nodeId);
    }
  }

  /**
   * A member says that it is elsewhere. When most have moved at once, nobody could write that into the catalogue
   * before they find each other.
   */
  moved(nodeId: string, to: string): void {
    const from = this.#state?.member(nodeId)?.address;
    if (from === undefined || to === "") return;
    if (from === to) this.#moved.delete(nodeId);
    else this.#moved.set(nodeId, { to, from });
  }

  /** `host:port`; undefined for one that is no member. */
  addressOf(nodeId: string): string | undefined {
    const known = this.#state?.member(nodeId)?.address;
    const moved = this.#moved.get(nodeId);
    // Until the catalogue says something new.
    if (moved !== undefined && moved.from === known) return moved.to;
    const address = known ?? this.#addresses.get(nodeId);
    return address === "" ? undefined : address;
  }

  nodeOf(topicId: number, replicaId: number): string | undefined {
    const group = this.#state?.group(topicId);
    const isIt = (place: { readonly replicaId: number }) => place.replicaId === replicaId;
    const place = group?.replicas.find(isIt) ?? group?.leaving.find(isIt);
    if (place !== undefined) return place.nodeId;
    return topicId === CATALOGUE_TOPIC_ID ? this.#clusterReplicas.get(replicaId) : undefined;
  }

  /** Of all members but `nodeId`, in id order. */
  addressesBut(nodeId: string): readonly string[] {
    const members = this.#state?.members() ?? [];
    const known = members.filter((member) => member.nodeId !== nodeId && member.address !== "");
    return known.map(({ address }) => address);
  }
}
