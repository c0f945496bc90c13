import type { Abortable } from "../base/abortable.ts";
import { ProglogError } from "../base/errors.ts";
import type { ProposedCatalogueCommand } from "../topics/catalogue-commands.ts";
import type { CatalogueOutcome } from "../topics/catalogue-outcomes.ts";
import { CLUSTER_TOPIC_NAME } from "../topics/names.ts";
import { CATALOGUE_PROPOSAL_BYTES } from "../topics/registry.ts";
import { refusalError } from "../topics/topic-errors.ts";
import type { CatalogueGroup } from "./catalogue-group.ts";

/**
 * Proposes a command about the cluster to the replica of the catalogue here.
 * @throws NOT_LEADER when it does not lead; what the catalogue refuses it for
 */
export async function proposeToCatalogue(
  { raft }: CatalogueGroup,
  command: ProposedCatalogueCommand,
  caller?: Abortable,
): Promise<Exclude<CatalogueOutcome, { readonly kind: "refused" }>> {
  const outcome = await raft.propose(command, { bytes: CATALOGUE_PROPOSAL_BYTES, caller });
  if (outcome.kind === "refused") throw refusalError(outcome, CLUSTER_TOPIC_NAME);
  return outcome;
}

/** The outcome is one of another command. */
export function foreignOutcome(kind: string): ProglogError {
  return new ProglogError("INTERNAL", `A command about a server had the foreign outcome ${kind}`);
}
