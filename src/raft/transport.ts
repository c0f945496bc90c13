import type { CoreMessage } from "./core.ts";

/** One message from a replica of a group to another one, on its way between nodes. */
export interface RaftEnvelope {
  readonly topicId: number;
  readonly fromReplica: number;
  readonly toReplica: number;
  readonly message: CoreMessage;
  /**
   * Only of append messages: the payloads of its entries, in order, one each (empty for entries
   * that have none). Views; not changed afterwards.
   */
  readonly payloads?: readonly Uint8Array[];
}

/**
 * Carries messages to other nodes, as a network does: they may be lost, repeated and reordered.
 * `rpc/` fits it with streams over the one port, tests with a simulated network.
 */
export interface RaftTransport {
  /**
   * Sends, or drops when the node cannot be reached or too much waits for it. Never throws, never waits.
   * @returns false when it was dropped here
   */
  send(nodeId: string, envelope: RaftEnvelope): boolean;
}

/** Who takes what the transport brings. */
export interface RaftReceiver {
  /** Must not throw. @returns false when the replica is not here */
  receive(fromNode: string, envelope: RaftEnvelope): boolean;
  /** A connection to the node broke, or could not be made. */
  unreachable(nodeId: string): void;
}
