import type { Refusal } from "./topic-state.ts";

/**
 * What a refused command about servers or placements could not do, and why.
 *
 * @param value of a key of the refusal's metadata
 * @returns undefined for other refusals
 */
export function describeClusterRefusal(
  { reason }: Refusal,
  value: (key: string) => string,
): string | undefined {
  const server = `server "${value("serverId")}"`;
  switch (reason) {
    case "CLUSTER_FOUNDED":
      return `Cannot found a cluster: this is cluster "${value("clusterId")}", wanted none`;
    case "CLUSTER_NOT_FOUNDED":
      return "Cannot take a server in: the cluster is not founded yet";
    case "SERVER_NOT_FOUND":
      return `Cannot use ${server}: it is no member`;
    case "SERVER_ID_TAKEN":
      return `Cannot take in ${server}: a member with another data folder has this id`;
    case "SERVER_REMOVED":
      return `Cannot take in ${server}: it was removed, and its id never comes back`;
    case "SERVER_LIMIT":
      return `Cannot take a server in: there are ${value("serverCountMax")}, which is the most allowed`;
    case "SERVER_HAS_REPLICAS":
      return `Cannot remove ${server}: it holds ${value("replicaCount")} replicas, wanted none`;
    case "QUORUM_AT_RISK":
      return `Cannot remove ${server}: without it topic "${value("topic")}" has no voter`;
    case "FIELD_INVALID":
      return `Cannot change the cluster: ${value("field")} is too long, or has other characters than it may`;
    case "PLACEMENT_STALE":
      return "Cannot place replicas: members or replicas changed meanwhile, wanted a new plan";
    default:
      return undefined;
  }
}
