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
  /**
   * Only of heartbeats: the leader rests after this one, since nobody is behind and nothing is to be done.
   * A receiver that is of the same opinion rests too, and does not expect another heartbeat.
   */
  readonly isQuiesce?: boolean;
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
  /**
   * A connection to the node broke, or could not be made, or nothing was heard of it for some seconds although
   * it should have sent something. Groups at rest rely on it: nothing else tells them that their leader is gone.
   */
  unreachable(nodeId: string): void;
}
