import assert from "node:assert/strict";
import { ProglogError } from "../../src/base/errors.ts";
import type { Logger } from "../../src/base/log.ts";
import { toPosition } from "../../src/base/units.ts";
import type { ClusterOptions } from "../../src/cluster/cluster-options.ts";
import { Node } from "../../src/cluster/node.ts";
import type { NodeSettings } from "../../src/cluster/node-settings.ts";
import type { TopicSettings } from "../../src/topics/topics.ts";
import { makeRandom, SeededRandom } from "../support/prng.ts";
import { TEST_CORE } from "../support/raft-core.ts";
import { SimClock, SimLifeClock } from "../support/sim-clock.ts";
import { SimFileSystem } from "../support/sim-file-system.ts";
import { SimNetwork } from "../support/sim-network.ts";
import type { SimPort } from "../support/sim-port.ts";
import { SMALL, texts } from "./harness.ts";

const STEP_MS = 10;
/** Nothing that goes on in these tests takes longer in simulated time. */
const WAIT_MS_MAX = 60_000;

export interface StartOptions {
  /** Default: joins by way of the first server; the first one founds. */
  readonly join?: readonly string[];
  readonly bootstrapExpect?: number;
  readonly settings?: Partial<NodeSettings>;
  readonly zone?: string;
  /** Where it is from now on; default: where it was. */
  readonly address?: string;
}

/** One life of a server, from its start to its stop or its power cut. */
interface ServerLife {
  readonly node: Promise<Node>;
  readonly port: SimPort;
  readonly clock: SimLifeClock;
  readonly abort: AbortController;
}

/** A machine with a disk of its own, whatever runs on it. */
export class Server {
  readonly name: string;
  readonly failures: unknown[] = [];
  /** What it has logged, for tests that look for a line. */
  readonly lines: string[] = [];
  address: string;
  fs: SimFileSystem;
  life: ServerLife | undefined;
  /** Set once it is open. */
  opened: Node | undefined;

  constructor(name: string, fs: SimFileSystem) {
    this.name = name;
    this.address = `${name}:7420`;
    this.fs = fs;
  }

  get node(): Node {
    const { opened, name } = this;
    assert(opened !== undefined, `Server ${name} is not open`);
    return opened;
  }

  get id(): string {
    return this.node.identity.nodeId;
  }
}

/** Whole nodes on one thread, on simulated disks, network and time. */
export class Several {
  readonly clock = new SimClock();
  readonly network: SimNetwork;
  readonly servers = new Map<string, Server>();
  readonly #seed: number;
  #starts = 0;

  constructor(seed = 1) {
    this.#seed = seed;
    this.network = new SimNetwork({ clock: this.clock, random: makeRandom(seed) });
  }

  /** Three servers of one cluster, with `default` and `_cluster` on all of them. */
  static async three(seed = 1, options: StartOptions = {}): Promise<Several> {
    const cluster = new Several(seed);
    for (const name of ["a", "b", "c"]) await cluster.start(name, options);
    await cluster.until(() => cluster.isReplicated("default") && cluster.isReplicated("_cluster"));
    return cluster;
  }

  server(name: string): Server {
    const known = this.servers.get(name);
    if (known !== undefined) return known;
    const random = makeRandom(this.#seed * 100 + this.servers.size);
    const made = new Server(name, new SimFileSystem(random));
    this.servers.set(name, made);
    return made;
  }

  node(name: string): Node {
    return this.server(name).node;
  }

  /** Starts a server and waits until it serves. */
  async start(name: string, options: StartOptions = {}): Promise<Node> {
    return await this.run(this.begin(name, options));
  }

  /** Starts a server; the promise is of its opening. */
  begin(name: string, options: StartOptions = {}): Promise<Node> {
    const server = this.server(name);
    assert.equal(server.life, undefined, `Server ${name} runs already`);
    this.#starts += 1;
    const seed = this.#seed * 1_000 + this.#starts;
    server.address = options.address ?? server.address;
    const { address } = server;
    const clock = new SimLifeClock(this.clock, { offsetUs: 0 });
    const port = this.network.connect(name, { address, clock });
    const abort = new AbortController();
    const [first] = this.servers.values();
    const join = options.join ?? (first === server ? [] : [first?.address ?? ""]);
    const cluster: ClusterOptions = {
      ...{ join, bootstrapExpect: options.bootstrapExpect ?? 0 },
      ...{ address: () => address, zone: options.zone ?? "", version: "test" },
    };
    const node = Node.open({
      ...{ clock, cluster, core: TEST_CORE, network: port, signal: abort.signal },
      fs: server.fs,
      random: new SeededRandom(seed),
      logger: loggerOf(server.lines),
      settings: { ...SMALL, ...options.settings },
      identity: { bootId: "boot", pid: seed, startTime: `${seed}` },
      isAlive: () => false,
      onFailure: (error) => server.failures.push(error),
    });
    const life = { node, port, clock, abort };
    server.life = life;
    node.then(
      (opened) => {
        if (server.life === life) server.opened = opened;
      },
      () => {
        if (server.life === life) this.kill(name);
      },
    );
    return node;
  }

  /** Stops it as SIGTERM does. */
  async stop(name: string): Promise<void> {
    const server = this.server(name);
    const { node } = server;
    await this.run(node.handOver());
    await this.run(node.close());
    this.kill(name);
  }

  /** Ends the process at once; what it has written stays. */
  kill(name: string): void {
    const server = this.server(name);
    const { life } = server;
    if (life === undefined) return;
    server.life = undefined;
    server.opened = undefined;
    server.fs = server.fs.reopen();
    life.clock.end();
    this.network.disconnect(life.port);
  }

  /** Cuts its power: what was not synced is lost or torn. */
  cutPower(name: string): void {
    this.server(name).fs.crash();
    this.kill(name);
  }

  /** Lets time pass until the promise is settled. */
  async run<T>(work: Promise<T>, msMax = WAIT_MS_MAX): Promise<T> {
    let isDone = false;
    work.then(
      () => {
        isDone = true;
      },
      () => {
        isDone = true;
      },
    );
    const endMs = this.clock.monotonicMs() + msMax;
    while (!isDone) {
      assert(this.clock.monotonicMs() < endMs, `It is not done after ${msMax} ms`);
      await this.clock.advance(STEP_MS);
    }
    return await work;
  }

  /** Lets time pass until it is so. */
  async until(isSo: () => boolean, msMax = WAIT_MS_MAX): Promise<void> {
    const endMs = this.clock.monotonicMs() + msMax;
    while (!isSo()) {
      assert(this.clock.monotonicMs() < endMs, `It is not so after ${msMax} ms: ${isSo}`);
      await this.clock.advance(STEP_MS);
    }
  }

  /** The files of a topic on a server, by name; those of records end with `.log`. */
  files(name: string, topic: string): string[] {
    const dir = `topics/${this.topicId(topic)}/`;
    return [...this.server(name).fs.dump().keys()].filter((path) => path.startsWith(dir));
  }

  topicId(topic: string): number {
    const [found] = this.#someNode().topics.list({ prefix: topic, limit: 1 }).topics;
    assert(found?.name === topic, `There is no topic ${topic}`);
    return found.id;
  }

  /** Flips bits in a file, as a disk does that forgets. */
  async damage(name: string, path: string, at: number, bytes = 1): Promise<void> {
    const { fs } = this.server(name);
    const content = fs.dump().get(path);
    assert(content !== undefined && at + bytes <= content.length, `${path} has no byte ${at}`);
    const file = await fs.open(path, { mode: "write" });
    const garbage = content.subarray(at, at + bytes).map((byte) => byte ^ 0xff);
    await file.write([garbage], toPosition(at));
    await file.close();
  }

  #someNode(): Node {
    const [first] = this.running();
    assert(first !== undefined, "No server runs");
    return first.node;
  }

  running(): Server[] {
    return [...this.servers.values()].filter(({ opened }) => opened !== undefined);
  }

  /** The server that leads the topic and says so; undefined when none does. */
  leader(topic: string): Server | undefined {
    return this.running().find(({ node, id }) => {
      const isHere = node.cluster.routeTopic(topic, "leader").kind === "here";
      const [own] = node.cluster.replicas({ topic, nodeId: id });
      return isHere && own?.role === "leader";
    });
  }

  async leads(topic: string): Promise<Server> {
    await this.until(() => this.leader(topic) !== undefined);
    const found = this.leader(topic);
    assert(found !== undefined);
    return found;
  }

  /** What the leader says of the topic's replicas, as `a leader, b voter`, sorted. */
  replicas(topic: string): string[] {
    const leader = this.leader(topic);
    if (leader === undefined) return [];
    const names = new Map(this.running().map(({ id, name }) => [id, name]));
    return leader.node.cluster
      .replicas({ topic })
      .map(({ nodeId, role }) => `${names.get(nodeId) ?? nodeId} ${role}`)
      .sort();
  }

  /** It has three voters, and all have everything. */
  isReplicated(topic: string, count = 3): boolean {
    const leader = this.leader(topic);
    const found = leader?.node.cluster.replicas({ topic }) ?? [];
    return found.length === count && found.every(({ role }) => role !== "learner");
  }

  /** Whether the server has its replica of the topic open. */
  serves(name: string, topic: string): boolean {
    try {
      this.node(name).topics.topic(topic);
      return true;
    } catch (error) {
      if (error instanceof ProglogError) return false;
      throw error;
    }
  }

  /** Creates it where that can be. */
  async create(topic: string, settings: TopicSettings = {}): Promise<void> {
    const { node } = await this.leads("_cluster");
    await this.run(node.topics.create(topic, settings));
  }

  /** Appends a record a text where the topic is led. */
  async append(topic: string, ...records: string[]): Promise<void> {
    const { node } = await this.leads(topic);
    await this.run(node.topics.topic(topic).produce({ records: texts(...records) }));
  }

  async closeAll(): Promise<void> {
    for (const { name } of this.running()) this.kill(name);
  }
}

function loggerOf(lines: string[]): Logger {
  const add = (level: string) => (message: string, fields?: object, cause?: unknown) => {
    const why = cause === undefined ? "" : ` ${cause}`;
    lines.push(`${level} ${message} ${JSON.stringify(fields ?? {})}${why}`);
  };
  return { debug: add("debug"), info: add("info"), warn: add("warn"), error: add("error") };
}
