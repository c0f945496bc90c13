import type { MetricTable } from "../base/metrics.ts";
import { NODE_METRICS } from "../cluster/node-metrics.ts";
import { BUILD_METRICS } from "./build-metrics.ts";

/** All that `GET /metrics` may say. */
export const METRIC_TABLES: readonly MetricTable[] = [BUILD_METRICS, NODE_METRICS];
