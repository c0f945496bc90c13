import { KIB } from "../base/units.ts";
import { DEFAULT_NODE_SETTINGS, type NodeSettings } from "../cluster/node-settings.ts";
import type { Settings } from "./settings.ts";

/** The journal's files are made of blocks. */
const JOURNAL_BLOCK_BYTES = 4 * KIB;

/** Checkpoints' worth of journal after which a laggard is copied forward. */
const CHECKPOINTS_IN_JOURNAL_MAX = 4;

/** The settings as the node wants them. */
export function toNodeSettings(settings: Settings): NodeSettings {
  const checkpointBytes = settings["checkpoint-bytes"];
  const blocks = Math.ceil(settings["journal-file-bytes"] / JOURNAL_BLOCK_BYTES);
  return {
    ...DEFAULT_NODE_SETTINGS,
    sync: settings.sync,
    topicCountMax: settings["topics-max"],
    retentionIntervalMs: settings["retention-interval"],
    journalFileBytes: blocks * JOURNAL_BLOCK_BYTES,
    checkpointBytes,
    journalBytesMax: checkpointBytes * CHECKPOINTS_IN_JOURNAL_MAX,
    topicDefaults: {
      ...DEFAULT_NODE_SETTINGS.topicDefaults,
      replicationFactor: settings["topic-replication-factor"],
      maxRecordBytes: settings["topic-max-record-bytes"],
      maxSegmentBytes: settings["topic-max-segment-bytes"],
      maxSegmentRecords: settings["topic-max-segment-records"],
      retentionAgeMs: settings["topic-retention-age"],
      retentionBytes: settings["topic-retention-bytes"],
    },
  };
}
