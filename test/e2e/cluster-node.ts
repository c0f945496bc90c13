import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { ClusterService } from "../../src/gen/proglog/v1/cluster_service_pb.ts";
import { LogService } from "../../src/gen/proglog/v1/log_service_pb.ts";
import { TopicService } from "../../src/gen/proglog/v1/topic_service_pb.ts";
import { EXECUTABLE } from "./server-process.ts";

const READY_MS_MAX = 30_000;
const POLL_MS = 20;
/** A connection whose other end does not answer a ping is given up, as stock clients do. */
const PING_INTERVAL_MS = 1_000;
const PING_TIMEOUT_MS = 2_000;

/** Where a server of a cluster runs. */
export interface NodePlace {
  readonly name: string;
  /** `host:port`, the same in all its lives. */
  readonly address: string;
  readonly dataDir: string;
  /** Standard error of all its lives, one after the other. */
  readonly logFile: string;
  /** Flags of `proglog serve` beside those of the place. */
  readonly flags: readonly string[];
  /** What the command stands behind, such as `ip netns exec n1`; must not fork. */
  readonly prefix: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

export type NodeClients = ReturnType<ClusterNode["clients"]>;

/** A server of a cluster, which may run, be stopped, and run again. */
export class ClusterNode {
  readonly place: NodePlace;
  #child: ChildProcess | undefined;
  #ended: Promise<number> = Promise.resolve(0);
  #logBegin = 0;
  #calls: NodeClients | undefined;

  constructor(place: NodePlace) {
    this.place = place;
    mkdirSync(dirname(place.logFile), { recursive: true });
  }

  get name(): string {
    return this.place.name;
  }

  get address(): string {
    return this.place.address;
  }

  get pid(): number {
    return this.#child?.pid ?? -1;
  }

  get isRunning(): boolean {
    const child = this.#child;
    return child !== undefined && child.exitCode === null && child.signalCode === null;
  }

  /** The id it made for itself, once it has a data folder. */
  get id(): string {
    const text = readFileSync(`${this.place.dataDir}/node.json`, "utf8");
    return (JSON.parse(text) as { readonly nodeId: string }).nodeId;
  }

  /** What it has logged in this life. */
  get log(): string {
    if (!existsSync(this.place.logFile)) return "";
    return readFileSync(this.place.logFile).subarray(this.#logBegin).toString();
  }

  /** Starts the process; {@link whenReady} waits for it. @param moreFlags of this life alone */
  launch(moreFlags: readonly string[] = []): void {
    if (this.isRunning) throw new Error(`Cannot start ${this.name}: it runs`);
    const { prefix, address, dataDir, flags, env, logFile } = this.place;
    const [command = "", ...args] = [
      ...[...prefix, EXECUTABLE, "serve", "--listen", address, "--data-dir", dataDir],
      ...[...flags, ...moreFlags],
    ];
    this.#logBegin = existsSync(logFile) ? statSync(logFile).size : 0;
    const log = openSync(logFile, "a", 0o600);
    const child = spawn(command, args, {
      stdio: ["ignore", "ignore", log],
      env: { ...process.env, ...env },
    });
    closeSync(log);
    this.#child = child;
    this.#ended = new Promise((done) => {
      child.once("error", () => done(127));
      child.once("exit", (code, signal) => done(code ?? (signal === "SIGKILL" ? 137 : 143)));
    });
  }

  /** Resolves when it says that it listens. @throws when it ends, or takes too long */
  async whenReady(msMax = READY_MS_MAX): Promise<void> {
    const giveUpAt = performance.now() + msMax;
    while (!/^listening on \S+$/m.test(this.log)) {
      if (!this.isRunning) {
        throw new Error(`${this.name} ended with ${await this.#ended}: ${this.log.slice(-4_000)}`);
      }
      if (performance.now() > giveUpAt) {
        throw new Error(`${this.name} was not ready after ${msMax} ms: ${this.log.slice(-4_000)}`);
      }
      await pause(POLL_MS);
    }
  }

  /** Resolves with the exit code, when it ends by itself; 137 and 143 after a signal. */
  get exitCode(): Promise<number> {
    return this.#ended;
  }

  /** As a power cut for the process: no handler runs. */
  kill(): Promise<number> {
    if (this.isRunning) this.#child?.kill("SIGKILL");
    return this.#ended;
  }

  /** Asks it to drain, and kills it when it does not end in time. */
  async stop(msMax = 40_000): Promise<number> {
    if (!this.isRunning) return this.#ended;
    this.#child?.kill("SIGTERM");
    const timer = setTimeout(() => this.#child?.kill("SIGKILL"), msMax);
    const code = await this.#ended;
    clearTimeout(timer);
    return code;
  }

  /** SIGSTOP: it stands still until {@link goOn}. */
  standStill(): void {
    this.#child?.kill("SIGSTOP");
  }

  goOn(): void {
    this.#child?.kill("SIGCONT");
  }

  /** Clients that share a connection, for whoever looks after the cluster. */
  get calls(): NodeClients {
    this.#calls ??= this.clients();
    return this.#calls;
  }

  /** Stock clients over gRPC, with a connection of their own. */
  clients() {
    const transport = createGrpcTransport({
      baseUrl: `http://${this.address}`,
      pingIntervalMs: PING_INTERVAL_MS,
      pingTimeoutMs: PING_TIMEOUT_MS,
    });
    return {
      log: createClient(LogService, transport),
      topics: createClient(TopicService, transport),
      cluster: createClient(ClusterService, transport),
    };
  }
}
