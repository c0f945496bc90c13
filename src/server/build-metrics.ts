import type { MetricSource, MetricTable } from "../base/metrics.ts";
import { versionInfo } from "./version.ts";

export const BUILD_METRICS = {
  proglog_build_info: {
    kind: "gauge",
    help: "Always 1; the labels say what this program is.",
    labels: ["version", "revision", "runtime"],
  },
} as const satisfies MetricTable;

export function buildMetrics(): MetricSource {
  const { version, revision, runtime } = versionInfo();
  const labels = { version, revision, runtime };
  return {
    table: BUILD_METRICS,
    read: () => [{ name: "proglog_build_info", value: 1, labels }],
  };
}
