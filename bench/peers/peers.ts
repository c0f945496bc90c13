import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** "synced": on disk before the answer. "relaxed": as fast as the peer is, to fill it. */
export type Setting = "synced" | "relaxed";

export interface PeerCommand {
  readonly command: readonly string[];
  /** TCP port that is open when the peer is up. */
  readonly port: number;
  /** For the generator: `-addr` and `-opts`. */
  readonly address: string;
  readonly options?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** One of the systems that are compared; one node of it, on loopback. */
export interface Peer {
  readonly name: string;
  /** Heading of its column. */
  readonly title: string;
  /** The generator's name for the protocol. */
  readonly protocol: string;
  /** How it is set up when it syncs before the answer, in its own words. */
  readonly synced: string;
  /** How it is set up to be filled, in its own words. */
  readonly relaxed: string;
  /** Records of a call while it is filled, and calls in flight. */
  readonly fillBatch: number;
  readonly fillInFlight: number;
  /** Part of the data of the others that it is filled with: it would take minutes. */
  readonly fillPart: number;
  /** @param kit folder with `bin/` and, for Kafka, `kafka/lib/` */
  readonly prepare: (kit: string, dir: string, setting: Setting) => PeerCommand;
}

const FILLED_WHOLE = { fillBatch: 1000, fillInFlight: 4, fillPart: 1 };

export const PEERS: readonly Peer[] = [
  {
    name: "proglog",
    title: "proglog",
    ...FILLED_WHOLE,
    protocol: "proglog",
    synced: "--sync always",
    relaxed: "--sync none",
    prepare: (_, dir, setting) => proglog(dir, { setting, port: 18400 }),
  },
  {
    name: "proglog-stream",
    title: "proglog-stream",
    ...FILLED_WHOLE,
    protocol: "proglog",
    synced: "--sync always, ProduceStream",
    relaxed: "--sync none, ProduceStream",
    prepare: (_, dir, setting) => ({
      ...proglog(dir, { setting, port: 18401 }),
      options: "mode=stream",
    }),
  },
  {
    name: "nats",
    title: "JetStream",
    ...FILLED_WHOLE,
    protocol: "nats",
    synced: "JetStream R1, sync_interval: always",
    relaxed: "JetStream R1",
    prepare: (kit, dir, setting) => {
      const config = join(dir, "nats.conf");
      const sync = setting === "synced" ? ", sync_interval: always" : "";
      writeFileSync(
        config,
        `listen: "127.0.0.1:14220"\nmax_payload: 8MB\njetstream { store_dir: "${dir}/js", max_file_store: 20GB${sync} }\n`,
      );
      const command = [join(kit, "bin/nats-server"), "-c", config];
      return { command, port: 14220, address: "nats://127.0.0.1:14220" };
    },
  },
  {
    name: "redis",
    title: "Redis",
    ...FILLED_WHOLE,
    protocol: "redis",
    synced: "AOF, appendfsync always",
    relaxed: "AOF, appendfsync everysec",
    prepare: (_, dir, setting) => {
      const fsync = setting === "synced" ? "always" : "everysec";
      const command = [
        ...["redis-server", "--port", "16379", "--bind", "127.0.0.1", "--dir", dir],
        ...["--appendonly", "yes", "--appendfsync", fsync, "--save", "", "--daemonize", "no"],
        ...["--auto-aof-rewrite-percentage", "0"],
      ];
      return { command, port: 16379, address: "127.0.0.1:16379" };
    },
  },
  {
    name: "etcd",
    title: "etcd",
    fillBatch: 100,
    fillInFlight: 8,
    fillPart: 0.25,
    protocol: "etcd",
    synced: "one member",
    relaxed: "one member, --unsafe-no-fsync",
    prepare: (kit, dir, setting) => {
      const client = "http://127.0.0.1:23790";
      const peer = "http://127.0.0.1:23800";
      const command = [
        ...[join(kit, "bin/etcd"), "--name", "e0", "--data-dir", join(dir, "e0")],
        ...["--listen-client-urls", client, "--advertise-client-urls", client],
        ...["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer],
        ...["--initial-cluster", `e0=${peer}`, "--quota-backend-bytes", `${8 * 2 ** 30}`],
        ...["--log-level", "error", ...(setting === "relaxed" ? ["--unsafe-no-fsync"] : [])],
      ];
      return { command, port: 23790, address: "127.0.0.1:23790" };
    },
  },
  {
    name: "kafka",
    title: "Kafka",
    ...FILLED_WHOLE,
    protocol: "kafka",
    synced: "one broker, acks=all, flush.messages=1",
    relaxed: "one broker, acks=all",
    prepare: kafka,
  },
  {
    name: "umadb",
    title: "UmaDB",
    ...FILLED_WHOLE,
    protocol: "umadb",
    synced: "default (group commit, fsync)",
    relaxed: "default (group commit, fsync)",
    prepare: (kit, dir) => ({
      command: [
        ...[join(kit, "bin/umadb"), "--listen", "127.0.0.1:15051"],
        ...["--db-path", join(dir, "uma.db")],
      ],
      port: 15051,
      address: "127.0.0.1:15051",
    }),
  },
  {
    name: "s2",
    title: "s2-lite",
    fillBatch: 500,
    fillInFlight: 8,
    fillPart: 1,
    protocol: "s2",
    synced: "s2 lite --local-root",
    relaxed: "s2 lite --local-root",
    prepare: (kit, dir) => {
      const root = join(dir, "root");
      mkdirSync(root, { recursive: true });
      const flags = ["--local-root", root, "--port", "18480", "--no-dashboard"];
      return {
        command: [join(kit, "bin/s2"), "lite", ...flags],
        port: 18480,
        address: "127.0.0.1:18480",
        env: { RUST_LOG: "warn" },
      };
    },
  },
];

function proglog(
  dir: string,
  { setting, port }: { readonly setting: Setting; readonly port: number },
): PeerCommand {
  const address = `127.0.0.1:${port}`;
  const sync = setting === "synced" ? "always" : "none";
  const command = [
    ...["dist/proglog", "serve", "--listen", address, "--data-dir", join(dir, "data")],
    ...["--sync", sync, "--log-level", "warn"],
  ];
  return { command, port, address };
}

function kafka(kit: string, dir: string, setting: Setting): PeerCommand {
  const classpath = join(kit, "kafka/lib/*");
  const properties = join(dir, "server.properties");
  const logging = join(dir, "log4j2.yaml");
  mkdirSync(join(dir, "logs"), { recursive: true });
  writeFileSync(
    properties,
    [
      "process.roles=broker,controller",
      "node.id=1",
      "controller.quorum.voters=1@127.0.0.1:29080",
      "listeners=PLAINTEXT://127.0.0.1:29090,CONTROLLER://127.0.0.1:29080",
      "advertised.listeners=PLAINTEXT://127.0.0.1:29090",
      "controller.listener.names=CONTROLLER",
      "inter.broker.listener.name=PLAINTEXT",
      `log.dirs=${join(dir, "logs")}`,
      "offsets.topic.replication.factor=1",
      "auto.create.topics.enable=false",
      "",
    ].join("\n"),
  );
  const root = "Root:\n      level: WARN\n      AppenderRef:\n        - ref: C\n";
  const console = "Console:\n      name: C\n";
  writeFileSync(logging, `Configuration:\n  Appenders:\n    ${console}  Loggers:\n    ${root}`);
  const { status, stderr, stdout } = spawnSync(
    "java",
    [
      ...["-cp", classpath, "kafka.tools.StorageTool", "format", "--ignore-formatted"],
      ...["-t", "cHJvZ2xvZ2JlbmNoMDAwMQ", "-c", properties],
    ],
    { encoding: "utf8" },
  );
  if (status !== 0) throw new Error(`Cannot format Kafka's folder: ${stdout}${stderr}`);
  return {
    command: [
      ...["java", "-Xms1g", "-Xmx1g", "-XX:+UseG1GC"],
      ...[`-Dlog4j2.configurationFile=${logging}`, "-cp", classpath, "kafka.Kafka", properties],
    ],
    port: 29090,
    address: "127.0.0.1:29090",
    options: setting === "synced" ? "topic=sync;conf=flush.messages:1" : "topic=relaxed",
  };
}
