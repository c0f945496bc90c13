import { ProglogError } from "../base/errors.ts";
import type { FileSystem } from "../platform/file-system.ts";
import { readWhole, writeAtomically } from "../storage/atomic-file.ts";
import { Serial } from "../storage/serial.ts";
import { namingPlatformErrors } from "../storage/storage-errors.ts";
import type { GenesisAnswer, GenesisRequest } from "./peer-host.ts";

const GENESIS_FILE_NAME = "genesis.json";

/** A larger file is not ours. */
const GENESIS_FILE_BYTES_MAX = 64 * 1024;

/** Seeds that a request may name: more would not be a cluster's beginning. */
const SEEDS_MAX = 32;

/** Whom this node has given its one promise to let it found the cluster. */
interface GenesisPromise {
  readonly founderId: string;
  readonly clusterId: string;
  readonly seeds: readonly string[];
}

export interface GenesisPromiseOptions {
  readonly fs: FileSystem;
  readonly nodeId: string;
  /** Cluster that this node belongs to; empty: none. */
  readonly clusterId: () => string;
  /** As this node's settings name them, sorted; empty: it was not told to wait for a founder. */
  readonly seeds: readonly string[];
}

/**
 * The one promise that a node gives before there is a cluster: who may found it. It is synced before
 * it is told and never given to another one; so of N nodes that start together one founds the cluster,
 * whatever is lost or started again meanwhile.
 */
export class GenesisPromises {
  readonly #options: GenesisPromiseOptions;
  readonly #turns = new Serial();
  /** Undefined before it was read. */
  #promise: GenesisPromise | "none" | undefined;

  constructor(options: GenesisPromiseOptions) {
    this.#options = options;
  }

  /**
   * Gives the promise when it is free; tells to whom it is given.
   *
   * @throws CLUSTER_NOT_FOUNDED when the founder names other seeds; DISK_FULL, DISK_FAILED,
   *   DATA_DIR_INVALID
   */
  ask(request: GenesisRequest): Promise<GenesisAnswer> {
    return this.#turns.run(async () => {
      const { nodeId, clusterId, seeds } = this.#options;
      this.#promise ??= (await this.#read()) ?? "none";
      let given = this.#promise;
      const isAsked = request.founderId !== "" && clusterId() === "";
      if (isAsked && given === "none") {
        refuseOtherSeeds(request.seeds, seeds);
        given = { founderId: request.founderId, clusterId: request.clusterId, seeds };
        await this.#write(given);
        this.#promise = given;
      }
      const promisedNodeId = given === "none" ? "" : given.founderId;
      return { nodeId, promisedNodeId, clusterId: clusterId() };
    });
  }

  async #read(): Promise<GenesisPromise | undefined> {
    const bytes = await namingPlatformErrors(`read "${GENESIS_FILE_NAME}"`, () =>
      readWhole(this.#options.fs, GENESIS_FILE_NAME, GENESIS_FILE_BYTES_MAX),
    );
    if (bytes === undefined) return undefined;
    const fields = bytes === "too-large" ? undefined : parse(bytes);
    if (fields !== undefined) return fields;
    throw new ProglogError(
      "DATA_DIR_INVALID",
      `Cannot read "${GENESIS_FILE_NAME}": it is not what this program writes. If no cluster was founded yet, delete it`,
      { metadata: { file: GENESIS_FILE_NAME } },
    );
  }

  async #write(promise: GenesisPromise): Promise<void> {
    const bytes = new TextEncoder().encode(`${JSON.stringify(promise, undefined, 2)}\n`);
    await namingPlatformErrors(`write "${GENESIS_FILE_NAME}"`, () =>
      writeAtomically(this.#options.fs, { dir: "", name: GENESIS_FILE_NAME }, bytes),
    );
  }
}

function parse(bytes: Uint8Array): GenesisPromise | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
    if (typeof value !== "object" || value === null) return undefined;
    const { founderId, clusterId, seeds } = value as Record<string, unknown>;
    if (typeof founderId !== "string" || founderId === "") return undefined;
    if (typeof clusterId !== "string" || !Array.isArray(seeds)) return undefined;
    return { founderId, clusterId, seeds: seeds.filter((seed) => typeof seed === "string") };
  } catch {
    return undefined;
  }
}

function refuseOtherSeeds(theirs: readonly string[], ours: readonly string[]): void {
  const isSame =
    theirs.length <= SEEDS_MAX &&
    theirs.length === ours.length &&
    theirs.every((seed, at) => seed === ours[at]);
  if (isSame) return;
  throw new ProglogError(
    "CLUSTER_NOT_FOUNDED",
    `Cannot let another server found the cluster: it names ${theirs.length} seeds, this server's settings name ` +
      `${ours.length === 0 ? "none" : ours.join(", ")}, wanted the same --join and --bootstrap-expect everywhere`,
  );
}
