import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs, durationMs } from "@bufbuild/protobuf/wkt";
import { type TopicSettings, TopicSettingsSchema } from "../gen/proglog/v1/topic_service_pb.ts";
import {
  duration,
  integer,
  orZero,
  printDuration,
  printSize,
  type SettingType,
  size,
} from "../server/setting-types.ts";
import { RETENTION_AGE_MS_MAX } from "../server/settings.ts";
import type { CommandInput, FlagSpec } from "./command.ts";
import { UsageError } from "./errors.ts";

type Fields = MessageInitShape<typeof TopicSettingsSchema>;

/** One setting of a topic: its flag, its field in the API. */
interface TopicSetting {
  /** Flag; with underscores it is the API's field. */
  readonly name: string;
  readonly help: string;
  readonly type: SettingType<number>;
  put(fields: Fields, value: number): void;
  get(settings: TopicSettings): number | undefined;
}

/** The server judges the values: here is only what a number can be at all. */
const ANY_SIZE = size({ min: 0, max: Number.MAX_SAFE_INTEGER });
const ANY_SIZE_32 = size({ min: 0, max: 2 ** 32 - 1 });
const ANY_COUNT = integer({ min: 0, max: 2 ** 32 - 1 });
/** The server's message would be in milliseconds. */
const AGE = orZero(duration({ min: 1_000, max: RETENTION_AGE_MS_MAX }));

/** A setting that is a plain number in the API, too. */
function plain(
  field: "maxRecordBytes" | "maxSegmentBytes" | "maxSegmentRecords" | "replicationFactor",
  setting: Pick<TopicSetting, "name" | "help" | "type">,
): TopicSetting {
  return {
    ...setting,
    put: (fields, value) => Object.assign(fields, { [field]: value }),
    get: (settings) => settings[field],
  };
}

const TOPIC_SETTINGS: readonly TopicSetting[] = [
  plain("maxRecordBytes", {
    name: "max-record-bytes",
    help: "Largest record, with the about 30 bytes that the server adds.",
    type: ANY_SIZE_32,
  }),
  plain("maxSegmentBytes", {
    name: "max-segment-bytes",
    help: "Size at which a segment is closed. Segments are removed whole.",
    type: ANY_SIZE_32,
  }),
  plain("maxSegmentRecords", {
    name: "max-segment-records",
    help: "Records after which a segment is closed.",
    type: ANY_COUNT,
  }),
  {
    name: "retention-age",
    help: "Age at which records may be removed; 0 means never.",
    type: AGE,
    put: (fields, value) => Object.assign(fields, { retentionAge: durationFromMs(value) }),
    get: ({ retentionAge }) => (retentionAge === undefined ? undefined : durationMs(retentionAge)),
  },
  {
    name: "retention-bytes",
    help: "Size above which the oldest records may be removed; 0 means never.",
    type: ANY_SIZE,
    put: (fields, value) => Object.assign(fields, { retentionBytes: BigInt(value) }),
    get: ({ retentionBytes }) =>
      retentionBytes === undefined ? undefined : Number(retentionBytes),
  },
  plain("replicationFactor", {
    name: "replication-factor",
    help: "Servers that hold the topic; one less of 4 and of 6, since an even number bears no more failures.",
    type: ANY_COUNT,
  }),
];

/** A flag for each setting, for `topic create` and `topic update`. */
export const TOPIC_SETTING_FLAGS: readonly FlagSpec[] = TOPIC_SETTINGS.map((setting) => ({
  name: setting.name,
  placeholder: setting.type.placeholder ?? "",
  help: setting.help,
}));

export const TOPIC_SETTING_NAMES = TOPIC_SETTINGS.map(({ name }) => name);

/** The settings among the flags. @throws {UsageError} */
export function readTopicSettings(input: CommandInput): TopicSettings {
  const fields: Fields = {};
  for (const setting of TOPIC_SETTINGS) {
    const text = input.value(setting.name);
    if (text !== undefined) setting.put(fields, parse(setting, text));
  }
  return create(TopicSettingsSchema, fields);
}

/** Fields of the API for the names of settings, as an update mask has them. */
export function toFieldNames(names: readonly string[]): string[] {
  return names.map((name) => name.replaceAll("-", "_"));
}

/** Each setting with its value in force, for people; those of the topic itself are marked. */
export function describeSettings(
  own: TopicSettings | undefined,
  effective: TopicSettings | undefined,
): (readonly [string, string])[] {
  return TOPIC_SETTINGS.map((setting) => {
    const value = effective === undefined ? undefined : setting.get(effective);
    const isOwn = own !== undefined && setting.get(own) !== undefined;
    const text = value === undefined ? "-" : print(setting, value);
    return [setting.name, isOwn ? text : `${text} (default)`] as const;
  });
}

function print(setting: TopicSetting, value: number): string {
  if (setting.name.startsWith("retention") && value === 0) return "for ever";
  if (setting.type === AGE) return printDuration(value);
  return setting.type === ANY_COUNT ? String(value) : printSize(value);
}

function parse(setting: TopicSetting, text: string): number {
  try {
    return setting.type.parse(text);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new UsageError(`Cannot read --${setting.name}: ${cause.message}`);
  }
}
