import type { MetricSource, MetricTable, Reading } from "../base/metrics.ts";
import type { ClusterView, MemberState } from "./cluster-view.ts";
import type { DamageCounts } from "./damage-counts.ts";

export const NODE_METRICS = {
  proglog_cluster_members: {
    kind: "gauge",
    help: "Servers that belong to the cluster, by what an operator wants of them.",
    labels: ["state"],
  },
  proglog_cluster_member_up: {
    kind: "gauge",
    help: "1 for a server that this one hears of, 0 for one that it has not heard of for 3 seconds; nobody is removed for that.",
    labels: ["server_id"],
  },
  proglog_cluster_has_leader: {
    kind: "gauge",
    help: "1 when this server knows who leads the cluster; at 0 no topic and no server can be changed.",
  },
  proglog_cluster_topics: { kind: "gauge", help: "Topics of the cluster." },
  proglog_cluster_topics_led: { kind: "gauge", help: "Topics that this server leads." },
  proglog_cluster_topics_leaderless: {
    kind: "gauge",
    help: "Topics with a replica here of which nobody is known to lead them: they take no writes.",
  },
  proglog_cluster_topics_under_replicated: {
    kind: "gauge",
    help: "Topics with a replica on a server that is down, or one that is being moved.",
  },
  proglog_raft_groups_awake: {
    kind: "gauge",
    help: "Groups with a replica here that are not at rest: they send heartbeats.",
  },
  proglog_disk_full: { kind: "gauge", help: "1 while the disk of this server has no room." },
  proglog_log_scrubbed_bytes_total: {
    kind: "counter",
    help: "Bytes of closed segments that were read in search of damage since the start.",
  },
  proglog_log_damaged_ranges_total: {
    kind: "counter",
    help: "Ranges of records that were found damaged since the start.",
  },
  proglog_log_repaired_ranges_total: {
    kind: "counter",
    help: "Ranges of damaged records that another replica made good since the start.",
  },
} as const satisfies MetricTable;

/** What is read of a node. */
export interface MeasuredNode {
  readonly cluster: Pick<ClusterView, "members" | "status">;
  readonly damage: Readonly<DamageCounts>;
  readonly isDiskFull: boolean;
  readonly ledCount: number;
  readonly awakeCount: number;
}

const STATES: readonly MemberState[] = ["active", "draining"];

/** @param node undefined as long as it is not open */
export function nodeMetrics(node: () => MeasuredNode | undefined): MetricSource {
  return {
    table: NODE_METRICS,
    read() {
      const open = node();
      return open === undefined ? [] : [...readMembers(open), ...readNumbers(open)];
    },
  };
}

type NodeReading = Reading<keyof typeof NODE_METRICS>;

function readMembers({ cluster }: MeasuredNode): readonly NodeReading[] {
  const members = cluster.members();
  const readings: NodeReading[] = STATES.map((state) => ({
    name: "proglog_cluster_members",
    value: members.filter((member) => member.state === state).length,
    labels: { state },
  }));
  for (const { nodeId, isUp } of members) {
    if (isUp === undefined) continue;
    const labels = { server_id: nodeId };
    readings.push({ name: "proglog_cluster_member_up", value: Number(isUp), labels });
  }
  return readings;
}

function readNumbers(node: MeasuredNode): readonly NodeReading[] {
  const { leader, topics, topicsLeaderless, topicsUnderReplicated } = node.cluster.status();
  const { scrubbedBytes, found, repaired } = node.damage;
  return [
    { name: "proglog_cluster_has_leader", value: Number(leader !== undefined) },
    { name: "proglog_cluster_topics", value: topics },
    { name: "proglog_cluster_topics_led", value: node.ledCount },
    { name: "proglog_cluster_topics_leaderless", value: topicsLeaderless },
    { name: "proglog_cluster_topics_under_replicated", value: topicsUnderReplicated },
    { name: "proglog_raft_groups_awake", value: node.awakeCount },
    { name: "proglog_disk_full", value: Number(node.isDiskFull) },
    { name: "proglog_log_scrubbed_bytes_total", value: scrubbedBytes },
    { name: "proglog_log_damaged_ranges_total", value: found },
    { name: "proglog_log_repaired_ranges_total", value: repaired },
  ];
}
