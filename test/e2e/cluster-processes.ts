import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { FakeClock } from "./cluster-clock.ts";
import { SmallDisk } from "./cluster-disk.ts";
import { ClusterNetwork } from "./cluster-network.ts";
import { ClusterNode } from "./cluster-node.ts";
import { runCommand } from "./server-process.ts";

/** Ports of outgoing connections are above: while a server is down nobody else may take its port. */
const PORT_MIN = 20_000;
const PORT_MAX = 30_000;
const POLL_MS = 100;
const SETTLED_MS_MAX = 60_000;

export interface ClusterOptions {
  /** Empty or missing; holds data, logs, and what else is made. */
  readonly dir: string;
  /** Servers that found the cluster: 1, 3 or 5. */
  readonly size?: number;
  readonly flags?: readonly string[];
  /** Each server in a network namespace of its own. */
  readonly hasNetwork?: boolean;
  /** Each server with a clock that can be set. */
  readonly hasClocks?: boolean;
  /** Size of a small disk for each server, that can be filled; 0: none. */
  readonly diskMib?: number;
}

/** Some executables that are one cluster, on this machine. */
export class ClusterProcesses {
  readonly dir: string;
  readonly nodes: ClusterNode[] = [];
  readonly network: ClusterNetwork | undefined;
  readonly clocks = new Map<ClusterNode, FakeClock>();
  readonly disks = new Map<ClusterNode, SmallDisk>();
  readonly #options: ClusterOptions;
  readonly #flags = new Map<ClusterNode, readonly string[]>();
  #placed = 0;

  private constructor(options: ClusterOptions) {
    this.#options = options;
    this.dir = options.dir;
    mkdirSync(this.dir, { recursive: true });
    this.network = options.hasNetwork === true ? ClusterNetwork.make() : undefined;
  }

  /** Starts all and waits until the topic `default` has a leader and all its replicas. */
  static async start(options: ClusterOptions): Promise<ClusterProcesses> {
    const cluster = new ClusterProcesses(options);
    const { size = 3 } = options;
    try {
      for (let count = 0; count < size; count += 1) await cluster.#place();
      if (size === 1) {
        await cluster.restart(cluster.nodes[0] as ClusterNode);
        return cluster;
      }
      const founders = cluster.nodes.map(({ address }) => address).join(",");
      for (const node of cluster.nodes) {
        cluster.#flags.set(node, ["--join", founders, "--bootstrap-expect", `${size}`]);
        cluster.launch(node);
      }
      await Promise.all(cluster.nodes.map((node) => node.whenReady()));
      await cluster.whenSettled();
    } catch (error) {
      await cluster.close();
      throw error;
    }
    return cluster;
  }

  /** Starts a server with the flags of its first start; {@link restart} waits for it. */
  launch(node: ClusterNode): void {
    node.launch(this.#flags.get(node));
  }

  async restart(node: ClusterNode): Promise<void> {
    this.launch(node);
    await node.whenReady();
  }

  /** A new server that asks all others to take it in. */
  async add(): Promise<ClusterNode> {
    const seeds = this.nodes.map(({ address }) => address).join(",");
    const node = await this.#place();
    this.#flags.set(node, ["--join", seeds]);
    await this.restart(node);
    return node;
  }

  /** Runs again with an empty folder: it has to be taken in as another server. */
  async startEmpty(node: ClusterNode): Promise<void> {
    this.wipe(node);
    const others = this.nodes.filter((other) => other !== node);
    this.#flags.set(node, ["--join", others.map(({ address }) => address).join(",")]);
    await this.restart(node);
  }

  /** Deletes all it has stored. */
  wipe(node: ClusterNode): void {
    rmSync(node.place.dataDir, { recursive: true, force: true });
  }

  /** Takes folders of a stopped server away, and puts them back when called. */
  hide(node: ClusterNode, names: readonly string[]): () => void {
    const { dataDir } = node.place;
    const moves = names
      .map((name) => ({ path: join(dataDir, name), aside: `${dataDir}-${name}` }))
      .filter(({ path }) => existsSync(path));
    for (const { path, aside } of moves) renameSync(path, aside);
    return () => {
      for (const { path, aside } of moves) {
        rmSync(path, { recursive: true, force: true });
        renameSync(aside, path);
      }
    };
  }

  /** Stops to count a server that has been removed from the cluster. */
  async forget(node: ClusterNode): Promise<void> {
    await node.kill();
    this.wipe(node);
    this.disks.get(node)?.close();
    this.disks.delete(node);
    this.clocks.delete(node);
    this.nodes.splice(this.nodes.indexOf(node), 1);
  }

  /** The server that leads a topic, by the word of those that run. */
  async leaderOf(topic = "default", msMax = SETTLED_MS_MAX): Promise<ClusterNode> {
    return until(`a leader of ${topic}`, msMax, async () => {
      for (const node of this.nodes.filter(({ isRunning }) => isRunning)) {
        const answer = await node.calls.topics
          .getTopic({ topic }, { timeoutMs: 3_000 })
          .catch(() => undefined);
        const address = answer?.status?.leader?.address;
        const leader = this.nodes.find((other) => other.address === address && other.isRunning);
        if (leader !== undefined) return leader;
      }
      return undefined;
    });
  }

  /** Some server that runs and does not lead the topic. */
  async followerOf(topic = "default"): Promise<ClusterNode> {
    const leader = await this.leaderOf(topic);
    const follower = this.nodes.find((node) => node !== leader && node.isRunning);
    if (follower === undefined) throw new Error("No follower runs");
    return follower;
  }

  /** Runs a command of the CLI, at the first server that runs. */
  async command(...words: readonly string[]): Promise<{ code: number; text: string }> {
    const node = this.nodes.find(({ isRunning }) => isRunning);
    if (node === undefined) throw new Error("No server runs");
    const { code, stdout, stderr } = await runCommand([...words, "--server", node.address]);
    return { code, text: `${stdout}${stderr}` };
  }

  /** Waits until every topic has a leader and all its replicas, and all members are up. */
  async whenSettled(msMax = SETTLED_MS_MAX): Promise<void> {
    let last = "";
    await until("the cluster settles", msMax, async () => {
      const node = this.nodes.find(({ isRunning }) => isRunning);
      try {
        const status = await node?.calls.cluster.getStatus({}, { timeoutMs: 3_000 });
        if (status === undefined) return undefined;
        const { serversDown, topicsLeaderless, topicsUnderReplicated } = status;
        last = JSON.stringify({ serversDown, topicsLeaderless, topicsUnderReplicated });
        const isWell = serversDown + topicsLeaderless + topicsUnderReplicated === 0;
        return isWell && status.leader !== undefined ? true : undefined;
      } catch (error) {
        last = `${error}`;
        return undefined;
      }
    }).catch((error: Error) => {
      throw new Error(`${error.message}: ${last.slice(0, 2_000)}`);
    });
  }

  /** Ends all, and leaves nothing but data and logs. */
  async close(): Promise<void> {
    for (const node of this.nodes) node.goOn();
    await Promise.all(this.nodes.map((node) => node.kill()));
    for (const disk of this.disks.values()) disk.close();
    this.network?.close();
  }

  async #place(): Promise<ClusterNode> {
    const { flags = [], hasClocks = false, diskMib = 0 } = this.#options;
    this.#placed += 1;
    const name = `n${this.#placed}`;
    const disk =
      diskMib === 0 ? undefined : SmallDisk.make(join(this.dir, `disk-${name}`), diskMib);
    const clock = hasClocks ? new FakeClock(join(this.dir, `clock-${name}`)) : undefined;
    const address =
      this.network === undefined
        ? `127.0.0.1:${await freePort()}`
        : `${this.network.add(name)}:8400`;
    const node = new ClusterNode({
      name,
      address,
      dataDir: join(disk?.dir ?? this.dir, `data-${name}`),
      logFile: join(this.dir, "logs", `${name}.log`),
      flags: [...(this.network === undefined ? [] : ["--allow-insecure-public"]), ...flags],
      prefix: this.network?.prefixOf(name) ?? [],
      env: clock?.env ?? {},
    });
    if (disk !== undefined) this.disks.set(node, disk);
    if (clock !== undefined) this.clocks.set(node, clock);
    this.nodes.push(node);
    return node;
  }
}

/** Polls until there is something. @throws when it takes longer than `msMax` */
export async function until<T>(
  what: string,
  msMax: number,
  look: () => Promise<T | undefined>,
): Promise<T> {
  const giveUpAt = performance.now() + msMax;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > giveUpAt) throw new Error(`Waited ${msMax} ms for ${what}`);
    await pause(POLL_MS);
  }
}

/** A port of 127.0.0.1 that no outgoing connection takes. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = PORT_MIN + Math.floor(Math.random() * (PORT_MAX - PORT_MIN));
    const isFree = await new Promise<boolean>((done) => {
      const probe = createServer();
      probe.once("error", () => done(false));
      probe.listen(port, "127.0.0.1", () => probe.close(() => done(true)));
    });
    if (isFree) return port;
  }
}
