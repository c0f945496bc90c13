import { type ByteReader, type ByteWriter, MalformedBytesError } from "../base/bytes.ts";
import { ProglogError } from "../base/errors.ts";
import { GIB, KIB, MIB } from "../base/units.ts";
import type { EffectiveSettings, TopicSettingName, TopicSettings } from "./topics.ts";

interface SettingRule {
  /** What stands for it in commands and checkpoints: never changed, never used again. */
  readonly tag: number;
  readonly min: number;
  readonly max: number;
  /** True when 0 switches it off although it is below `min`. */
  readonly zeroIsOff?: true;
  readonly fallback: number;
}

/** 100,000 days: no sum of a time and an age leaves the safe integers. */
const RETENTION_AGE_MS_MAX = 100_000 * 86_400_000;

/** Every setting of a topic, its range (both ends included) and the default unless configured. */
export const TOPIC_SETTINGS = {
  maxRecordBytes: { tag: 1, min: KIB, max: 100 * MIB, fallback: MIB },
  maxSegmentBytes: { tag: 2, min: KIB, max: GIB, fallback: 64 * MIB },
  maxSegmentRecords: { tag: 3, min: 1, max: 16_777_216, fallback: 1_048_576 },
  retentionAgeMs: { tag: 4, min: 1_000, max: RETENTION_AGE_MS_MAX, zeroIsOff: true, fallback: 0 },
  retentionBytes: { tag: 5, min: 0, max: Number.MAX_SAFE_INTEGER, fallback: 0 },
  replicationFactor: { tag: 6, min: 1, max: 7, fallback: 3 },
} as const satisfies Record<TopicSettingName, SettingRule>;

const NAMES = Object.keys(TOPIC_SETTINGS) as readonly TopicSettingName[];

/** What applies where neither the topic nor the server's configuration says otherwise. */
export const DEFAULT_TOPIC_SETTINGS: EffectiveSettings = effectiveSettings({}, fallbacks());

/** Fills what `settings` leaves open from `defaults`. */
export function effectiveSettings(
  settings: TopicSettings,
  defaults: EffectiveSettings,
): EffectiveSettings {
  return { ...defaults, ...settings };
}

/** `settings` with `changes` made and the names in `cleared` gone; a name in both is cleared. */
export function changeSettings(
  settings: TopicSettings,
  changes: TopicSettings,
  cleared: readonly TopicSettingName[],
): TopicSettings {
  const result: { -readonly [N in TopicSettingName]?: number } = { ...settings, ...changes };
  for (const name of cleared) delete result[name];
  return result;
}

/**
 * Checks every value that is set, and drops names that are there but undefined.
 * No two settings depend on one another: a record larger than a segment gets its own.
 *
 * @throws SETTING_INVALID with the name in the metadata
 */
export function checkSettings(settings: TopicSettings): TopicSettings {
  const result: { -readonly [N in TopicSettingName]?: number } = {};
  for (const name of NAMES) {
    const value = settings[name];
    if (value === undefined) continue;
    const rule: SettingRule = TOPIC_SETTINGS[name];
    if (!isAllowed(rule, value)) throw settingError(name, rule, value);
    result[name] = value;
  }
  return result;
}

/** Bytes: `[count varint]` then per setting, by rising tag, `[tag varint][value varint]`. */
export function writeSettings(writer: ByteWriter, settings: TopicSettings): void {
  const set = NAMES.filter((name) => settings[name] !== undefined);
  writer.varint(set.length);
  for (const name of set) writer.varint(TOPIC_SETTINGS[name].tag).varint(settings[name] ?? 0);
}

/** Reads what {@link writeSettings} wrote. @throws MalformedBytesError also for an unknown tag */
export function readSettings(reader: ByteReader): TopicSettings {
  const result: { -readonly [N in TopicSettingName]?: number } = {};
  for (let left = reader.varint(); left > 0; left -= 1) result[readName(reader)] = reader.varint();
  return result;
}

/** Bytes: `[count varint]` then the tags. */
export function writeSettingNames(writer: ByteWriter, names: readonly TopicSettingName[]): void {
  writer.varint(names.length);
  for (const name of names) writer.varint(TOPIC_SETTINGS[name].tag);
}

export function readSettingNames(reader: ByteReader): TopicSettingName[] {
  const names: TopicSettingName[] = [];
  for (let left = reader.varint(); left > 0; left -= 1) names.push(readName(reader));
  return names;
}

function readName(reader: ByteReader): TopicSettingName {
  const tag = reader.varint();
  const name = NAMES.find((candidate) => TOPIC_SETTINGS[candidate].tag === tag);
  if (name === undefined) throw new MalformedBytesError(`No topic setting has the tag ${tag}`);
  return name;
}

function isAllowed(rule: SettingRule, value: number): boolean {
  if (!Number.isSafeInteger(value)) return false;
  if (value === 0 && rule.zeroIsOff === true) return true;
  return value >= rule.min && value <= rule.max;
}

function settingError(name: TopicSettingName, rule: SettingRule, value: number): ProglogError {
  const off = rule.zeroIsOff === true ? "0 or " : "";
  return new ProglogError(
    "SETTING_INVALID",
    `Cannot set ${name} to ${value}: must be ${off}${rule.min} to ${rule.max}`,
    { metadata: { field: name, value: `${value}`, min: `${rule.min}`, max: `${rule.max}` } },
  );
}

function fallbacks(): EffectiveSettings {
  return {
    maxRecordBytes: TOPIC_SETTINGS.maxRecordBytes.fallback,
    maxSegmentBytes: TOPIC_SETTINGS.maxSegmentBytes.fallback,
    maxSegmentRecords: TOPIC_SETTINGS.maxSegmentRecords.fallback,
    retentionAgeMs: TOPIC_SETTINGS.retentionAgeMs.fallback,
    retentionBytes: TOPIC_SETTINGS.retentionBytes.fallback,
    replicationFactor: TOPIC_SETTINGS.replicationFactor.fallback,
  };
}
