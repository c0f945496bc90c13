import type { Abortable } from "../base/abortable.ts";
import { ProglogError } from "../base/errors.ts";
import {
  encodeCatalogueCommand,
  type ProposedCatalogueCommand,
} from "../topics/catalogue-commands.ts";
import type { CatalogueOutcome } from "../topics/catalogue-outcomes.ts";
import type { CatalogueGroup } from "./catalogue-group.ts";
import { proposeToCatalogue } from "./catalogue-proposal.ts";
import type { LeaderPlace } from "./cluster-view.ts";
import type { PeerCalls } from "./peer-host.ts";

const TELL_TIMEOUT_MS = 5_000;

export interface CourierOptions {
  readonly catalogue: CatalogueGroup;
  readonly peers: Pick<PeerCalls, "propose">;
  readonly leader: () => LeaderPlace | undefined;
}

/** Brings commands to the catalogue: to the replica here when it leads, else to the server that does. */
export class Courier {
  readonly #options: CourierOptions;

  constructor(options: CourierOptions) {
    this.#options = options;
  }

  /** Proposes where the catalogue is led. @throws NOT_LEADER elsewhere; what the catalogue refuses it for */
  async propose(
    command: ProposedCatalogueCommand,
    caller?: Abortable,
  ): Promise<Exclude<CatalogueOutcome, { readonly kind: "refused" }>> {
    return await proposeToCatalogue(this.#options.catalogue, command, caller);
  }

  /** The same wherever this is called, for who need not know the outcome. @throws NO_QUORUM when nobody is known to lead */
  async tell(command: ProposedCatalogueCommand, signal?: AbortSignal): Promise<void> {
    const { catalogue, peers, leader } = this.#options;
    if (catalogue.raft.role === "leader") {
      await this.propose(command);
      return;
    }
    const place = leader();
    if (place === undefined) {
      throw new ProglogError("NO_QUORUM", "Cannot change the cluster: nobody leads it", {
        metadata: { outcome: "none" },
      });
    }
    const bytes = encodeCatalogueCommand({ ...command, clockUs: 0 });
    const options = { timeoutMs: TELL_TIMEOUT_MS, ...(signal === undefined ? {} : { signal }) };
    await peers.propose(place.nodeId, bytes, options);
  }
}
