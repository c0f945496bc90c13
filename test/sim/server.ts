import type { Clock } from "../../src/base/clock.ts";
import type { Logger } from "../../src/base/log.ts";
import type { Random } from "../../src/base/random.ts";
import type { ClusterOptions } from "../../src/cluster/cluster-options.ts";
import type { ClusterView } from "../../src/cluster/cluster-view.ts";
import type { NodeNetwork } from "../../src/cluster/node-network.ts";
import type { FileSystem } from "../../src/platform/file-system.ts";
import type { RaftCore } from "../../src/raft/core.ts";
import type { Topics } from "../../src/topics/topics.ts";

/** A server as clients and operators see it, without the wire. */
export interface SimulatedServer {
  readonly topics: Topics;
  readonly cluster: ClusterView;
  /** Stops cleanly. */
  close(): Promise<void>;
}

/** What one life of a machine gives to the server on it. */
export interface ServerParts {
  readonly fs: FileSystem;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly core: RaftCore;
  readonly network: NodeNetwork;
  /** How it comes to its cluster. */
  readonly cluster: ClusterOptions;
  /** Number of the process, unique in the run. */
  readonly pid: number;
  /** The process must end. */
  readonly onFailure: (error: unknown) => void;
}

/** Opens the server that is under test. */
export type OpenServer = (parts: ServerParts) => Promise<SimulatedServer>;
