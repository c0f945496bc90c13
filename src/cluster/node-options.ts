import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import type { FileSystem } from "../platform/file-system.ts";
import type { ProcessIdentity } from "../platform/process-identity.ts";
import type { RaftCore } from "../raft/core.ts";
import type { ClusterOptions } from "./cluster-options.ts";
import type { NodeNetwork } from "./node-network.ts";
import type { NodeSettings } from "./node-settings.ts";

/** What a node is opened with. */
export interface NodeOptions {
  /** Its root is the data folder. */
  readonly fs: FileSystem;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Raft itself, or how to come by it: a node that is alone never does. Its groups are this node's. */
  readonly core: RaftCore | (() => Promise<RaftCore>);
  /** The way to other nodes; absent: there is none. It is closed with the node. */
  readonly network?: NodeNetwork;
  /** How it comes to its cluster; absent: it founds one that nobody can join. */
  readonly cluster?: ClusterOptions;
  /** What is not given has its default. */
  readonly settings?: Partial<NodeSettings>;
  /** This process, as others see it in the folder's lock. */
  readonly identity: ProcessIdentity;
  readonly isAlive: (holder: ProcessIdentity) => boolean | Promise<boolean>;
  /** Aborted when the node is to stop although it is not open yet: it may be waiting for others. */
  readonly signal?: AbortSignal;
  /**
   * Called once when the node cannot go on: the disk failed, or an entry is not understood.
   * The process must end; nothing is acknowledged any more.
   */
  readonly onFailure: (error: unknown) => void;
}
