import { GIB, KIB, MIB } from "../base/units.ts";
import { foundingCount, seeds } from "./seeds.ts";
import {
  choice,
  dialled,
  duration,
  hostPort,
  integer,
  label,
  onOff,
  origins,
  path,
  type SettingType,
  size,
  text,
  toggle,
} from "./setting-types.ts";

/**
 * One setting of the server, declared once: its flag, its environment variable,
 * its key in the file, `--help`, `config show` and docs/configuration.md all
 * come from this.
 */
export interface Setting<T> {
  readonly group: SettingGroup;
  /** A sentence; the first one of a longer help is what `--help` shows. */
  readonly help: string;
  readonly type: SettingType<T>;
  readonly fallback: T;
}

export type SettingGroup =
  | "General"
  | "Cluster"
  | "Security"
  | "Logging"
  | "Limits"
  | "Topics"
  | "Storage";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Longest retention: about 270 years, so that no sum of times leaves the safe integers. */
export const RETENTION_AGE_MS_MAX = 100_000 * DAY_MS;
/** Largest retention by size: 8 PiB, below 2^53. */
const RETENTION_BYTES_MAX = 2 ** 53 - GIB;

const KEPT_FOR_EVER = "0 means for ever.";

/** Every setting of `proglog serve`. A name is a contract with scripts and files: never rename one. */
export const SETTINGS = {
  listen: setting("General", hostPort(), { host: "127.0.0.1", port: 8400 }, [
    "Address of the one port that serves everything.",
    "Port 0 picks a free one, printed when the server is ready.",
    "An address that other machines can reach needs TLS with a client CA, or `--allow-insecure-public`.",
  ]),
  "data-dir": setting("General", path("DIR"), "./data", [
    "Folder that holds the journal and the topics.",
    "Made when it is missing. One server at a time.",
  ]),
  sync: setting("General", choice("always", "none"), "always", [
    "Whether a batch is synced to disk before it is acknowledged.",
    "With `none` a power cut can lose what was acknowledged; the end of the process cannot.",
  ]),
  "drain-timeout": setting("General", duration({ min: 0, max: HOUR_MS }), 30_000, [
    "Longest time that a stop waits for calls in flight.",
  ]),
  reflection: setting("General", onOff(), true, [
    "Whether gRPC reflection tells callers the API, so that they need no proto files.",
  ]),
  "lean-path": setting("General", onOff(), true, [
    "Whether hot calls are served straight from HTTP, without the Connect library.",
    "Both ways give the same answers; turn it off to find out which one is at fault.",
  ]),

  join: setting(
    "Cluster",
    seeds(),
    [],
    [
      "Servers to ask to be taken into their cluster, until one does.",
      "Names are resolved at every dial. `srv:_proglog._tcp.example.com` stands for the servers that SRV records name.",
      "Without effect on a server that belongs to a cluster already.",
    ],
  ),
  advertise: setting("Cluster", dialled(), undefined, [
    "Address where clients and other servers reach this one.",
    "The address that it listens on, unless set.",
  ]),
  "bootstrap-expect": setting("Cluster", foundingCount(), 0, [
    "Found a new cluster when so many servers are there, all named by `--join` and with the same settings.",
    "One of them founds it, the others join. Unless set, only a server without `--join` founds one, alone.",
  ]),
  zone: setting("Cluster", label("NAME"), "", [
    "Rack or zone of this server: replicas of a topic go to different ones, where there are enough.",
  ]),

  "tls-cert": setting("Security", text("FILE"), "", [
    "Certificate chain of the server, PEM.",
    "Read again on SIGHUP.",
  ]),
  "tls-key": setting("Security", text("FILE"), "", [
    "Private key of the certificate, PEM.",
    "Read again on SIGHUP.",
  ]),
  "tls-client-ca": setting("Security", text("FILE"), "", [
    "CA whose certificates clients must present, PEM.",
    "Without it any client may connect. Read again on SIGHUP.",
  ]),
  "allow-insecure-public": setting("Security", toggle(), false, [
    "Listen on an address that other machines can reach although not everyone there is authenticated.",
  ]),
  "cors-origins": setting(
    "Security",
    origins(),
    [],
    ["Origins whose web pages may call this server, such as `https://example.com`; `*` for all."],
  ),

  "log-level": setting("Logging", choice("debug", "info", "warn", "error"), "info", [
    "Least severity that is logged.",
    "Read again on SIGHUP from the file and the environment.",
  ]),
  "log-format": setting("Logging", choice("auto", "text", "json"), "auto", [
    "Form of the log on standard error.",
    "`auto` is text on a terminal and JSON lines elsewhere.",
  ]),

  "request-bytes-max": setting("Limits", size({ min: 64 * KIB, max: GIB }), 8 * MIB, [
    "Largest request message.",
  ]),
  "batch-records-max": setting("Limits", integer({ min: 1, max: 1_000_000 }), 10_000, [
    "Most records in a batch.",
  ]),
  "batch-bytes-max": setting("Limits", size({ min: KIB, max: GIB }), 8 * MIB, [
    "Most bytes of records in a batch.",
  ]),
  "connections-max": setting("Limits", integer({ min: 1, max: 1_000_000 }), 4_096, [
    "Most connections at once.",
  ]),
  "streams-max": setting("Limits", integer({ min: 1, max: 1_000_000 }), 10_000, [
    "Most streaming calls at once.",
  ]),
  "topics-max": setting("Limits", integer({ min: 1, max: 100_000 }), 1_000, ["Most topics."]),

  "topic-replication-factor": setting("Topics", integer({ min: 1, max: 7 }), 3, [
    "Servers that hold a topic, in topics that do not say.",
    "As many as there are, while the cluster has fewer; of 4 and 6 one less, since an even number bears no more failures.",
  ]),
  "topic-max-record-bytes": setting("Topics", size({ min: KIB, max: 100 * MIB }), MIB, [
    "Largest record, with the about 30 bytes that the server adds, in topics that do not say.",
  ]),
  "topic-max-segment-bytes": setting("Topics", size({ min: KIB, max: GIB }), 64 * MIB, [
    "Size at which a segment is closed, in topics that do not say.",
  ]),
  "topic-max-segment-records": setting("Topics", integer({ min: 1, max: 16_777_216 }), 1_048_576, [
    "Records after which a segment is closed, in topics that do not say.",
  ]),
  "topic-retention-age": setting("Topics", duration({ min: 0, max: RETENTION_AGE_MS_MAX }), 0, [
    "Age at which records may be removed, in topics that do not say.",
    KEPT_FOR_EVER,
  ]),
  "topic-retention-bytes": setting("Topics", size({ min: 0, max: RETENTION_BYTES_MAX }), 0, [
    "Size above which a topic's oldest records may be removed, in topics that do not say.",
    KEPT_FOR_EVER,
  ]),
  "retention-interval": setting("Topics", duration({ min: 1_000, max: DAY_MS }), 10_000, [
    "Time between two looks for records to remove.",
  ]),

  "journal-file-bytes": setting("Storage", size({ min: MIB, max: GIB }), 64 * MIB, [
    "Size of a file of the journal.",
    "They are filled in turn and used again.",
  ]),
  "checkpoint-bytes": setting("Storage", size({ min: MIB, max: 4 * GIB }), 64 * MIB, [
    "Bytes of journal after which topics are synced and a checkpoint is written.",
    "A start after a crash applies about so much again.",
  ]),
  mmap: setting("Storage", onOff(), false, [
    "Whether closed segments are read through memory maps.",
    "Faster for random reads; but a disk that cannot read ends the process instead of one call. Bun only.",
  ]),
} as const satisfies Record<string, Setting<unknown>>;

export type SettingName = keyof typeof SETTINGS;

type ValueOf<S> = S extends Setting<infer T> ? T : never;

/** The value of every setting, checked. Sizes in bytes, durations in milliseconds. */
export type Settings = { readonly [N in SettingName]: ValueOf<(typeof SETTINGS)[N]> };

export const SETTING_NAMES = Object.keys(SETTINGS) as readonly SettingName[];

/** `segment-bytes-max` becomes `PROGLOG_SEGMENT_BYTES_MAX`. */
export function envNameOf(name: string): string {
  return `PROGLOG_${name.toUpperCase().replaceAll("-", "_")}`;
}

/** The setting without the types of its values, for those who treat all alike. */
export function settingOf(name: SettingName): Setting<unknown> {
  return SETTINGS[name];
}

function setting<T>(
  group: SettingGroup,
  type: SettingType<T>,
  fallback: T,
  help: readonly string[],
): Setting<T> {
  return { group, type, fallback, help: help.join(" ") };
}
