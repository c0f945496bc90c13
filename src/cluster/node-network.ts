import type { RaftTransport } from "../raft/transport.ts";
import type { PeerCalls, PeerHost } from "./peer-host.ts";

/** A node as its network sees it. */
export interface NetworkedNode {
  /** Takes Raft's messages, and answers what other nodes ask. */
  readonly host: PeerHost;
  /** Where a member can be reached, `host:port`; asked at every dial. Undefined: not a member. */
  addressOf(nodeId: string): string | undefined;
}

/** All traffic between this node and others; `rpc/peer/` fits it, tests with a simulated network. */
export interface NodeNetwork {
  readonly transport: RaftTransport;
  /** Asks other nodes. */
  readonly peers: PeerCalls;
  /** From now on what comes is given to the node; before, it is refused. Called once. */
  attach(node: NetworkedNode): void;
  /** Whether the node has been heard of lately, as this one itself always has; undefined: not known yet. */
  isUp(nodeId: string): boolean | undefined;
  /** Some peer says that another process is this server, and none takes this one's messages. */
  isDisowned(): boolean;
  /** What the peer's clock is ahead of ours, in microseconds; undefined: not known. */
  clockOffsetUs(nodeId: string): number | undefined;
  close(): Promise<void>;
}
