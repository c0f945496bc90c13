import { MIB } from "../base/units.ts";
import { DEFAULT_TOPIC_SETTINGS } from "../topics/settings.ts";
import type { EffectiveSettings } from "../topics/topics.ts";

/** What of a node can be set. */
export interface NodeSettings {
  /** Whether a batch is synced before it is acknowledged. */
  readonly sync: "always" | "none";
  /** What applies to topics that say nothing else. */
  readonly topicDefaults: EffectiveSettings;
  readonly topicCountMax: number;
  /** Between two looks for records to remove. */
  readonly retentionIntervalMs: number;
  readonly journalFileBytes: number;
  /** Bytes of journal after which everything is checkpointed. */
  readonly checkpointBytes: number;
  /** Bytes of journal above which entries of those who hold it up are copied forward. */
  readonly journalBytesMax: number;
  /** Bytes of batches in flight: proposed and not yet in their topic's files. */
  readonly inFlightBytesMax: number;
  readonly topicInFlightBytesMax: number;
  /** How long what was applied may wait before it is written to its topic's files. */
  readonly writeDelayMs: number;
  /** Bytes of the last records of all topics, and of one, that are kept in memory for readers at the end. */
  readonly tailBytesMax: number;
  readonly topicTailBytesMax: number;
  /** Bytes and calls that wait because of these two; beyond them calls are refused (RATE_LIMITED). */
  readonly waitingBytesMax: number;
  readonly waitingCountMax: number;
}

export const DEFAULT_NODE_SETTINGS: NodeSettings = {
  sync: "always",
  topicDefaults: DEFAULT_TOPIC_SETTINGS,
  topicCountMax: 1_000,
  retentionIntervalMs: 10_000,
  journalFileBytes: 64 * MIB,
  checkpointBytes: 64 * MIB,
  journalBytesMax: 256 * MIB,
  inFlightBytesMax: 64 * MIB,
  topicInFlightBytesMax: 16 * MIB,
  writeDelayMs: 5,
  tailBytesMax: 32 * MIB,
  topicTailBytesMax: 4 * MIB,
  waitingBytesMax: 64 * MIB,
  waitingCountMax: 4_096,
};
