import type { RaftReceiver, RaftTransport } from "../raft/transport.ts";
import type { PeerClient, PeerHost } from "./peer-host.ts";

/** A node as its network sees it. */
export interface NetworkedNode {
  /** What the node says of itself when it opens a stream. `clusterId` is empty until it belongs to one. */
  self(): { readonly clusterId: string; readonly nodeId: string };
  /** Where a member can be reached, `host:port`; asked at every dial. Undefined: not a member. */
  addressOf(nodeId: string): string | undefined;
  /** Takes Raft's messages. */
  readonly receiver: RaftReceiver;
  /** Answers what other nodes ask. */
  readonly host: PeerHost;
}

/** All traffic between this node and others; `rpc/peer/` fits it, tests with a simulated network. */
export interface NodeNetwork {
  readonly transport: RaftTransport;
  /** Asks other nodes. */
  readonly peers: PeerClient;
  /** From now on what comes is given to the node; before, it is refused. Called once. */
  attach(node: NetworkedNode): void;
  /** Whether the node has been heard of lately; undefined: never asked. */
  isUp(nodeId: string): boolean | undefined;
  /** Difference of the peer's clock to ours in microseconds; undefined: not known. */
  clockOffsetUs(nodeId: string): number | undefined;
  close(): Promise<void>;
}
