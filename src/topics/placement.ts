import type { CatalogueState } from "./catalogue-state.ts";
import type { WantedPlace } from "./group-placement.ts";

export function planTopic(state: CatalogueState, replicationFactor: number): WantedPlace[] {
  const nodes = state.members().slice(0, replicationFactor);
  return nodes.map(({ nodeId }, at) => ({ nodeId, role: at === 0 ? "voter" : "learner" }));
}
