import { mkdir } from "node:fs/promises";
import { resolve } from "node:path";
import type { Clock } from "../base/clock.ts";
import { ProglogError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { MIB } from "../base/units.ts";
import type { ClusterView } from "../cluster/cluster-view.ts";
import { Node } from "../cluster/node.ts";
import { nodeMetrics } from "../cluster/node-metrics.ts";
import type { NodeNetwork } from "../cluster/node-network.ts";
import { Prometheus } from "../observability/prometheus.ts";
import type { ClientTls } from "../platform/http-client-socket.ts";
import { listen } from "../platform/http-listener.ts";
import type { Listener, TlsMaterial } from "../platform/http-options.ts";
import { MemoryRelief } from "../platform/memory-relief.ts";
import { openFileSystem } from "../platform/open-file-system.ts";
import { isAlive, processIdentity } from "../platform/process-identity.ts";
import { SystemClock } from "../platform/system-clock.ts";
import { SystemRandom } from "../platform/system-random.ts";
import { PeerNetwork } from "../rpc/peer/peer-network.ts";
import { createHandler, type Handler } from "../rpc/routes.ts";
import { ServingState } from "../rpc/serving-state.ts";
import type { Topics } from "../topics/topics.ts";
import { buildMetrics } from "./build-metrics.ts";
import { listenError } from "./listen-error.ts";
import { toNodeSettings } from "./node-settings.ts";
import { openRaftCore } from "./raft-core.ts";
import { printSeed, type Seed } from "./seeds.ts";
import { printHostPort } from "./setting-types.ts";
import type { Settings } from "./settings.ts";
import { readTlsFiles } from "./tls-files.ts";
import { versionInfo } from "./version.ts";

/** How long answers under way may take to get out after the disk failed. */
const FAILED_CLOSE_MS = 250;

const DATA_DIR_MODE = 0o700;

/** Of copies to one peer: fast enough for a new server, and what serves clients keeps the rest of the disk. */
const COPY_BYTES_PER_SECOND = 160 * MIB;

export interface ServerOptions {
  readonly settings: Settings;
  readonly logger: Logger;
  /** Aborted when the server is to stop: it may not be open yet, but wait for others. */
  readonly stopping: AbortSignal;
  /**
   * Called once when the server cannot go on: the disk failed, or a defect was met. Nothing
   * is acknowledged any more; the process must end.
   */
  readonly onFailure: (error: unknown) => void;
}

/** A server that takes calls. */
export interface RunningServer {
  /** Where it listens, `HOST:PORT`, with the port that was bound. */
  readonly address: string;
  /** Reads the TLS files again; new connections use them. @throws {SettingError} and keeps the old ones */
  reloadTls(): Promise<void>;
  /**
   * Stops cleanly: health says NOT_SERVING, streams end with DRAINING, calls in flight
   * finish within the drain time-out, everything is checkpointed.
   */
  stop(): Promise<void>;
  /** After a failure: lets answers under way out, and saves nothing. */
  abandon(): Promise<void>;
}

/**
 * Composes a server out of its parts and opens it.
 *
 * The port is open before recovery has ended: probes are answered, health says
 * NOT_SERVING, and calls wait a while.
 *
 * @throws {SettingError} for TLS files; {@link ListenError}; what `Node.open` throws
 */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const tls = await readTlsFiles(options.settings);
  const server = new Server(options);
  await server.open(tls);
  return server;
}

class Server implements RunningServer {
  readonly #settings: Settings;
  readonly #logger: Logger;
  readonly #onFailure: (error: unknown) => void;
  readonly #clock: Clock = new SystemClock();
  readonly #state = new ServingState();
  readonly #topics = Promise.withResolvers<Topics>();
  readonly #relief = new MemoryRelief(this.#clock);
  readonly #cluster = Promise.withResolvers<ClusterView>();
  readonly #prometheus = new Prometheus([buildMetrics(), nodeMetrics(() => this.#node)]);
  /** Aborted when the server stops, though its node may not be open yet. */
  readonly #stopping = new AbortController();
  #tls: TlsMaterial | undefined;
  #network: PeerNetwork | undefined;
  #node: Node | undefined;
  #listener: Listener | undefined;
  #handler: Handler | undefined;

  constructor({ settings, logger, stopping, onFailure }: ServerOptions) {
    this.#settings = settings;
    this.#logger = logger;
    this.#onFailure = onFailure;
    if (stopping.aborted) this.#giveUp();
    stopping.addEventListener("abort", () => this.#giveUp(), { once: true });
  }

  get address(): string {
    const { host, port } = this.#settings.listen;
    return printHostPort({ host, port: this.#listener?.port ?? port });
  }

  async open(tls: TlsMaterial | undefined): Promise<void> {
    this.#tls = tls;
    this.#network = new PeerNetwork({
      clock: this.#clock,
      random: new SystemRandom(),
      logger: this.#logger,
      clientTls: () => this.#clientTls(),
      limits: { copyBytesPerSecond: COPY_BYTES_PER_SECOND },
    });
    const ready = this.#state.waitFor("recovery");
    this.#listener = await this.#listen(tls, this.#network);
    this.#relief.start();
    try {
      this.#node = await this.#openNode(this.#network);
    } catch (error) {
      this.#relief.stop();
      // Nobody was promised anything yet.
      await this.#listener.close(0);
      this.#handler?.close();
      throw error;
    }
    this.#topics.resolve(this.#node.topics);
    this.#cluster.resolve(this.#node.cluster);
    ready();
    const { version, runtime } = versionInfo();
    this.#logger.info("The server is ready", {
      address: this.address,
      dataDir: resolve(this.#settings["data-dir"]),
      nodeId: this.#node.identity.nodeId,
      sync: this.#settings.sync,
      tls: tls !== undefined,
      version,
      runtime,
    });
  }

  async reloadTls(): Promise<void> {
    const tls = await readTlsFiles(this.#settings);
    if (tls === undefined) return;
    this.#tls = tls;
    this.#listener?.reloadTls(tls);
  }

  async stop(): Promise<void> {
    this.#state.drain();
    this.#giveUp();
    // While calls are still answered here: others lead before this server refuses them.
    await this.#node?.handOver();
    const closed = this.#listener?.close(this.#settings["drain-timeout"]);
    // Calls under way may need the other servers; these would never end their streams.
    await Promise.race([closed, this.#handler?.whenIdle()]);
    this.#network?.server.close();
    await closed;
    await this.#node?.close();
    this.#handler?.close();
    this.#relief.stop();
  }

  async abandon(): Promise<void> {
    this.#state.drain();
    await this.#listener?.close(FAILED_CLOSE_MS);
    await this.#network?.close();
    this.#handler?.close();
    this.#relief.stop();
  }

  #giveUp(): void {
    this.#stopping.abort(new ProglogError("DRAINING", "The server is stopping"));
  }

  async #listen(tls: TlsMaterial | undefined, network: PeerNetwork): Promise<Listener> {
    const settings = this.#settings;
    // Rejected only when the start fails; then that is what is reported.
    this.#topics.promise.catch(() => {});
    this.#cluster.promise.catch(() => {});
    this.#handler = createHandler({
      topics: this.#topics.promise,
      cluster: this.#cluster.promise,
      clientTls: () => this.#clientTls(),
      peers: network.server,
      state: this.#state,
      version: versionInfo().version,
      self: () => this.#self(),
      clock: this.#clock,
      logger: this.#logger,
      limits: {
        requestBytesMax: settings["request-bytes-max"],
        batchRecordsMax: settings["batch-records-max"],
        batchBytesMax: settings["batch-bytes-max"],
        streamsMax: settings["streams-max"],
      },
      metrics: () => this.#prometheus.print(),
      corsOrigins: settings["cors-origins"],
      reflection: settings.reflection,
      lean: settings["lean-path"],
      onFatal: this.#onFailure,
    });
    const { onRequest, onStream } = this.#handler;
    try {
      return await listen({
        ...settings.listen,
        onRequest,
        onStream,
        ...(tls === undefined ? {} : { tls }),
        limits: { connectionsMax: settings["connections-max"] },
        clock: this.#clock,
        logger: this.#logger,
      });
    } catch (cause) {
      throw listenError(settings.listen, cause);
    }
  }

  /** After the port is taken: a server that cannot listen leaves no folder behind. */
  async #openNode(network: NodeNetwork): Promise<Node> {
    const settings = this.#settings;
    await mkdir(settings["data-dir"], { recursive: true, mode: DATA_DIR_MODE });
    return await Node.open({
      fs: openFileSystem(resolve(settings["data-dir"]), { mmap: settings.mmap }),
      clock: this.#clock,
      random: new SystemRandom(),
      logger: this.#logger,
      core: () =>
        openRaftCore({
          logger: this.#logger,
          isVerbose: settings["log-level"] === "debug",
          onFailure: this.#onFailure,
        }),
      network,
      cluster: {
        join: settings.join.map(dialledName),
        bootstrapExpect: settings["bootstrap-expect"],
        address: () => this.#advertised,
        zone: settings.zone,
        version: versionInfo().version,
      },
      signal: this.#stopping.signal,
      settings: toNodeSettings(settings),
      identity: processIdentity(),
      isAlive,
      onFailure: this.#onFailure,
    });
  }

  #self() {
    const node = this.#node;
    return node === undefined
      ? undefined
      : { serverId: node.identity.nodeId, address: this.#advertised };
  }

  /** Where others reach this server. */
  get #advertised(): string {
    const { advertise } = this.#settings;
    return advertise === undefined ? this.address : printHostPort(advertise);
  }

  /** Servers of a cluster that speaks TLS show each other their own certificates. */
  #clientTls(): ClientTls | undefined {
    const tls = this.#tls;
    if (tls === undefined) return undefined;
    const { cert, key, clientCa } = tls;
    return { cert, key, ...(clientCa === undefined ? {} : { ca: clientCa }) };
  }
}

/** As `http-client-names.ts` reads it. */
function dialledName(seed: Seed): string {
  return seed.kind === "srv" ? seed.name : printSeed(seed);
}
