import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { TopicService } from "../../src/gen/proglog/v1/topic_service_pb.ts";
import type { PeerCommand } from "../peers/peers.ts";

export const SIZE = 3;

/** A system that keeps a log on three servers, each with its own folder, on loopback. */
export interface System {
  readonly name: string;
  readonly title: string;
  /** The generator's name for the protocol. */
  readonly protocol: string;
  /** How it is set up so that a majority has synced before the answer, in its own words. */
  readonly setting: string;
  readonly command: (place: number, options: { kit: string; dir: string }) => PeerCommand;
  /** Which of the servers leads the log that is written to; undefined: none at the moment. */
  readonly findLeader: (kit: string) => Promise<number | undefined>;
}

const PROGLOG_PORT = 18_500;
const NATS_PORT = 14_230;
const NATS_ROUTE_PORT = 14_330;
const ETCD_PORT = 23_890;
const ETCD_PEER_PORT = 23_990;

const PLACES = Array.from({ length: SIZE }, (_, place) => place);

function addressesFrom(port: number, prefix = ""): readonly string[] {
  return PLACES.map((place) => `${prefix}127.0.0.1:${port + place}`);
}

/** The command of one server of a cluster of `size`; flags are those of `proglog serve`. */
export function proglogCommand(
  place: number,
  dir: string,
  flags: readonly string[] = [],
): PeerCommand {
  const port = PROGLOG_PORT + place;
  const address = `127.0.0.1:${port}`;
  const command = [
    ...["dist/proglog", "serve", "--listen", address, "--data-dir", join(dir, "data")],
    ...["--log-level", "warn", ...flags],
  ];
  return { command, port, address };
}

export function proglogAddress(place: number): string {
  return addressesFrom(PROGLOG_PORT)[place] ?? "";
}

export const SYSTEMS: readonly System[] = [
  {
    name: "proglog",
    title: "proglog",
    protocol: "proglog",
    setting: "--sync always, replication factor 3",
    command: (place, { dir }) => {
      const seeds = addressesFrom(PROGLOG_PORT).join(",");
      return proglogCommand(place, dir, ["--join", seeds, "--bootstrap-expect", `${SIZE}`]);
    },
    findLeader: findProglogLeader,
  },
  {
    name: "nats",
    title: "JetStream",
    protocol: "nats",
    setting: "JetStream R3, sync_interval: always",
    command: (place, { kit, dir }) => {
      const config = join(dir, "nats.conf");
      const routes = addressesFrom(NATS_ROUTE_PORT, "nats://").filter((_, at) => at !== place);
      const quoted = routes.map((route) => `"${route}"`).join(", ");
      const lines = [
        `listen: "127.0.0.1:${NATS_PORT + place}"`,
        `server_name: n${place}`,
        "max_payload: 8MB",
        `jetstream { store_dir: "${dir}/js", max_file_store: 20GB, sync_interval: always }`,
        `cluster { name: bench, listen: "127.0.0.1:${NATS_ROUTE_PORT + place}", routes: [${quoted}] }`,
      ];
      writeFileSync(config, `${lines.join("\n")}\n`);
      const command = [join(kit, "bin/nats-server"), "-c", config];
      const address = addressesFrom(NATS_PORT, "nats://")[place] ?? "";
      return { command, port: NATS_PORT + place, address };
    },
    findLeader: async (kit) => {
      const servers = addressesFrom(NATS_PORT, "nats://").join(",");
      const args = ["-s", servers, "--timeout=1s", "stream", "info", "bench", "--json"];
      const { status, stdout } = spawnSync(join(kit, "bin/nats"), args, { encoding: "utf8" });
      if (status !== 0) return undefined;
      const info = JSON.parse(stdout) as { readonly cluster?: { readonly leader?: string } };
      const leader = info.cluster?.leader;
      return leader === undefined || leader === "" ? undefined : Number(leader.slice(1));
    },
  },
  {
    name: "etcd",
    title: "etcd",
    protocol: "etcd",
    setting: "three members",
    command: (place, { kit, dir }) => {
      const client = `http://127.0.0.1:${ETCD_PORT + place}`;
      const peer = `http://127.0.0.1:${ETCD_PEER_PORT + place}`;
      const members = PLACES.map((at) => `e${at}=http://127.0.0.1:${ETCD_PEER_PORT + at}`);
      const command = [
        ...[join(kit, "bin/etcd"), "--name", `e${place}`, "--data-dir", join(dir, "data")],
        ...["--listen-client-urls", client, "--advertise-client-urls", client],
        ...["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer],
        ...["--initial-cluster", members.join(","), "--initial-cluster-state", "new"],
        ...["--quota-backend-bytes", `${8 * 2 ** 30}`, "--log-level", "error"],
      ];
      return { command, port: ETCD_PORT + place, address: `127.0.0.1:${ETCD_PORT + place}` };
    },
    findLeader: findEtcdLeader,
  },
];

async function findProglogLeader(): Promise<number | undefined> {
  for (const address of addressesFrom(PROGLOG_PORT)) {
    const transport = createGrpcTransport({ baseUrl: `http://${address}` });
    const topics = createClient(TopicService, transport);
    const answer = await topics
      .getTopic({ topic: "default" }, { timeoutMs: 2_000 })
      .catch(() => undefined);
    const place = addressesFrom(PROGLOG_PORT).indexOf(answer?.status?.leader?.address ?? "");
    if (place >= 0) return place;
  }
  return undefined;
}

async function findEtcdLeader(): Promise<number | undefined> {
  for (const place of PLACES) {
    try {
      const url = `http://127.0.0.1:${ETCD_PORT + place}/v3/maintenance/status`;
      const signal = AbortSignal.timeout(1_000);
      const answer = await fetch(url, { method: "POST", body: "{}", signal });
      const status = (await answer.json()) as {
        readonly leader: string;
        readonly header: { readonly member_id: string };
      };
      if (status.leader === status.header.member_id) return place;
    } catch {
      // The next may know.
    }
  }
  return undefined;
}

/** @returns the folder of one server, made */
export function folderOf(dir: string, place: number): string {
  const own = join(dir, `${place}`);
  mkdirSync(own, { recursive: true });
  return own;
}
