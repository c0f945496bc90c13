import type { Abortable } from "../base/abortable.ts";
import type { RaftReceiver } from "../raft/transport.ts";

/** What a node that wants to be a member says of itself. */
export interface JoinRequest {
  readonly nodeId: string;
  /** Where others reach it, `host:port`. */
  readonly address: string;
  /** Rack or zone; empty for none. */
  readonly zone: string;
  /** Version of its program. */
  readonly version: string;
  /** Highest feature level that it knows. */
  readonly featureLevel: number;
  /** Cluster whose data it has; empty for none. */
  readonly clusterId: string;
  /** Made with the data folder, in hex: tells the same node from another one with its id. */
  readonly folderNonce: string;
}

/** A member, as far as a new one must know it to begin. */
export interface PeerAddress {
  readonly nodeId: string;
  /** `host:port`. */
  readonly address: string;
  /** Raft id of its replica of `_cluster`. */
  readonly clusterReplicaId: number;
}

export interface JoinAnswer {
  readonly clusterId: string;
  /** Raft id of the new member's replica of `_cluster`. */
  readonly clusterReplicaId: number;
  /** All members, the new one too. */
  readonly members: readonly PeerAddress[];
}

export interface GenesisRequest {
  /** Node that wants to found the cluster; empty to ask only what is so. */
  readonly founderId: string;
  /** Cluster id that it will use. */
  readonly clusterId: string;
  /** The seeds, as named in its settings, sorted: all must name the same. */
  readonly seeds: readonly string[];
}

export interface GenesisAnswer {
  /** Node that answers. */
  readonly nodeId: string;
  /** Whom it has promised the right to found; empty: nobody. */
  readonly promisedNodeId: string;
  /** Cluster that it belongs to; empty: none. */
  readonly clusterId: string;
}

/** Asks a server that waits for its cluster to join this one. */
export interface InviteRequest {
  readonly clusterId: string;
  /** Members to ask, `host:port` each. */
  readonly addresses: readonly string[];
}

export interface InviteAnswer {
  /** Server that answers; it has not joined yet. */
  readonly nodeId: string;
}

/** Asks for the records of a topic's offsets in [firstOffset, endOffset). */
export interface CopyRequest {
  readonly topicId: number;
  /** Replica that is behind. */
  readonly fromReplica: number;
  /** Replica that is asked. */
  readonly toReplica: number;
  readonly firstOffset: number;
  readonly endOffset: number;
}

/** Some frames of a copy, one each offset from `firstOffset` on. */
export interface CopyPiece {
  readonly firstOffset: number;
  /** Envelope and record as docs/format.md has them, without the length. Views; not changed afterwards. */
  readonly frames: readonly Uint8Array[];
}

/** Who one is, to peers. */
export interface PeerSelf {
  readonly nodeId: string;
  /** Empty as long as it belongs to no cluster. */
  readonly clusterId: string;
}

/**
 * What a node does for its peers, beside taking their messages. Errors are ProglogErrors, told to
 * the peer.
 */
export interface PeerHost extends RaftReceiver {
  /** Who this node is now. */
  self(): PeerSelf;
  /**
   * Whether messages of a node may come in, which says that it is of the same cluster. Should be true for
   * nodes that are not known yet, as long as they were not removed: routes tell the rest.
   */
  admits(nodeId: string): boolean;
  /** @throws CLUSTER_NOT_FOUNDED, CLUSTER_FOREIGN, SERVER_ID_TAKEN, SERVER_REMOVED, NOT_LEADER, NO_QUORUM */
  join(request: JoinRequest, caller: Abortable): Promise<JoinAnswer>;
  /**
   * Takes a command for `_cluster` from a member that does not lead it: `topics/catalogue-commands.ts`
   * has the bytes of both (docs/format.md; the clock in the command is the proposer's and is replaced).
   *
   * @returns the outcome, encoded
   * @throws NOT_LEADER, NO_QUORUM (outcome none or unknown), FIELD_INVALID for what is no command
   */
  propose(fromNode: string, command: Uint8Array, caller: Abortable): Promise<Uint8Array>;
  /** What it promises is synced before it answers. */
  promiseGenesis(request: GenesisRequest, caller: Abortable): Promise<GenesisAnswer>;
  /** @throws SERVER_EXISTS, CLUSTER_FOREIGN when it belongs to a cluster */
  invite(request: InviteRequest, caller: Abortable): Promise<InviteAnswer>;
  /**
   * Pieces in order, together the whole range. The next one is asked for when the peer has taken what it got;
   * `return()` is called when it gives up.
   * @throws OFFSET_OUT_OF_RANGE, STORE_CORRUPT
   */
  copyRange(fromNode: string, request: CopyRequest, caller: Abortable): AsyncIterable<CopyPiece>;
}

/** The same from the other side. Rejects with what the peer said, or NO_QUORUM when it cannot be reached. */
export interface PeerCalls {
  join(address: string, request: JoinRequest, options?: PeerCallOptions): Promise<JoinAnswer>;
  promiseGenesis(
    address: string,
    request: GenesisRequest,
    options?: PeerCallOptions,
  ): Promise<GenesisAnswer>;
  invite(address: string, request: InviteRequest, options?: PeerCallOptions): Promise<InviteAnswer>;
  /** See {@link PeerHost.propose}; to the node that leads `_cluster`. */
  propose(nodeId: string, command: Uint8Array, options?: PeerCallOptions): Promise<Uint8Array>;
  /**
   * Frames as they come: their checksums are the caller's to verify. Leaving the loop ends the call. The next
   * piece is asked for when the last one is dealt with.
   */
  copyRange(
    nodeId: string,
    request: CopyRequest,
    options?: PeerCallOptions,
  ): AsyncIterable<CopyPiece>;
}

export interface PeerCallOptions {
  /** Default 5 s; for `copyRange` the longest silence, default 30 s. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}
