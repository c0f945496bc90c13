import type { MessageInitShape } from "@bufbuild/protobuf";
import { hasReason, ProglogError } from "../base/errors.ts";
import type {
  TopicSchema,
  TopicSettings as TopicSettingsMessage,
  TopicSettingsSchema,
  UpdateTopicRequest,
} from "../gen/proglog/v1/topic_service_pb.ts";
import type { TopicInfo, TopicSettingName, TopicSettings } from "../topics/topics.ts";
import { fieldError, toDuration, toMilliseconds, toSafeInteger, toTimestamp } from "./fields.ts";

/** Names of settings in the proto file, as in errors and field masks. */
const FIELDS = {
  maxRecordBytes: "max_record_bytes",
  maxSegmentBytes: "max_segment_bytes",
  maxSegmentRecords: "max_segment_records",
  retentionAgeMs: "retention_age",
  retentionBytes: "retention_bytes",
  replicationFactor: "replication_factor",
} as const satisfies Record<TopicSettingName, string>;

const NAMES = Object.keys(FIELDS) as readonly TopicSettingName[];

/** Settings of a request. Ranges are checked below. @throws SETTING_INVALID */
export function toSettings(message: TopicSettingsMessage | undefined): TopicSettings {
  if (message === undefined) return {};
  const { maxRecordBytes, maxSegmentBytes, maxSegmentRecords, replicationFactor } = message;
  const { retentionAge, retentionBytes } = message;
  return {
    ...(maxRecordBytes !== undefined && { maxRecordBytes }),
    ...(maxSegmentBytes !== undefined && { maxSegmentBytes }),
    ...(maxSegmentRecords !== undefined && { maxSegmentRecords }),
    ...(replicationFactor !== undefined && { replicationFactor }),
    ...(retentionBytes !== undefined && {
      retentionBytes: setting(toSafeInteger, retentionBytes, "retentionBytes"),
    }),
    ...(retentionAge !== undefined && {
      retentionAgeMs: setting(toMilliseconds, retentionAge, "retentionAgeMs"),
    }),
  };
}

/** `convert`, with its complaint as one about a setting. @throws SETTING_INVALID */
function setting<T>(
  convert: (value: T, field: string) => number,
  value: T,
  name: TopicSettingName,
): number {
  try {
    return convert(value, `settings.${FIELDS[name]}`);
  } catch (thrown) {
    if (!hasReason(thrown, "FIELD_INVALID")) throw thrown;
    throw new ProglogError("SETTING_INVALID", thrown.message, {
      metadata: thrown.metadata,
      cause: thrown,
    });
  }
}

function toSettingsMessage(settings: TopicSettings): MessageInitShape<typeof TopicSettingsSchema> {
  const { retentionAgeMs, retentionBytes, ...rest } = settings;
  return {
    ...rest,
    ...(retentionBytes !== undefined && { retentionBytes: BigInt(retentionBytes) }),
    ...(retentionAgeMs !== undefined && { retentionAge: toDuration(retentionAgeMs) }),
  };
}

export function toTopicMessage(info: TopicInfo): MessageInitShape<typeof TopicSchema> {
  return {
    name: info.name,
    id: BigInt(info.id),
    createTime: toTimestamp(info.createTimeUs),
    settings: toSettingsMessage(info.settings),
    effectiveSettings: toSettingsMessage(info.effectiveSettings),
  };
}

export interface SettingChanges {
  readonly changes: TopicSettings;
  /** Named by the mask and not set: back to the default. */
  readonly cleared: readonly TopicSettingName[];
}

/** What an update asks for. Without a mask: all that is set. @throws FIELD_INVALID for an unknown path */
export function toChanges({ settings, updateMask }: UpdateTopicRequest): SettingChanges {
  const given = toSettings(settings);
  const paths = updateMask?.paths ?? [];
  if (paths.length === 0) return { changes: given, cleared: [] };
  const changes: { -readonly [N in TopicSettingName]?: number } = {};
  const cleared: TopicSettingName[] = [];
  for (const path of new Set(paths)) {
    const name = NAMES.find((candidate) => FIELDS[candidate] === path);
    if (name === undefined) throw fieldError("update_mask", `there is no setting "${path}"`);
    const value = given[name];
    if (value === undefined) cleared.push(name);
    else changes[name] = value;
  }
  return { changes, cleared };
}

/** Runs `change`; an error about a setting names it as the proto file does. */
export async function withFieldNames<T>(change: () => Promise<T>): Promise<T> {
  try {
    return await change();
  } catch (thrown) {
    if (!hasReason(thrown, "SETTING_INVALID")) throw thrown;
    const name = NAMES.find((candidate) => candidate === thrown.metadata["field"]);
    if (name === undefined) throw thrown;
    throw new ProglogError("SETTING_INVALID", thrown.message.replace(name, FIELDS[name]), {
      metadata: { ...thrown.metadata, field: `settings.${FIELDS[name]}` },
      cause: thrown,
    });
  }
}
