import type { Abortable } from "../base/abortable.ts";
import { MalformedBytesError } from "../base/bytes.ts";
import { hasReason, ProglogError } from "../base/errors.ts";
import type { RaftNode } from "../raft/raft-node.ts";
import type { RaftEnvelope } from "../raft/transport.ts";
import {
  decodeCatalogueCommand,
  type ProposedCatalogueCommand,
} from "../topics/catalogue-commands.ts";
import type { Member } from "../topics/members.ts";
import type { CatalogueGroup } from "./catalogue-group.ts";
import { foreignOutcome, proposeToCatalogue } from "./catalogue-proposal.ts";
import type { LeaderPlace } from "./cluster-view.ts";
import type { GenesisPromises } from "./genesis-promise.ts";
import { type Invitations, isRefusedInvitation } from "./invitations.ts";
import type {
  CopyPiece,
  CopyRequest,
  GenesisAnswer,
  GenesisRequest,
  InviteAnswer,
  InviteRequest,
  JoinAnswer,
  JoinRequest,
  PeerCalls,
  PeerHost,
  PeerSelf,
} from "./peer-host.ts";
import type { TopicGroup } from "./topic-group.ts";

const NOTHING = new Uint8Array(0);

/** For the answer of a server that wants to join, at the address that it gives. */
const CALL_BACK_MS = 3_000;

export interface PeerDeskOptions {
  readonly self: () => PeerSelf;
  readonly raft: RaftNode;
  readonly genesis: GenesisPromises;
  readonly invitations: Invitations;
  readonly peers: Pick<PeerCalls, "invite">;
  /** Undefined before this node belongs to a cluster. */
  readonly catalogue: () => CatalogueGroup | undefined;
  readonly clusterLeader: () => LeaderPlace | undefined;
  /** Whether a member has been heard of lately; this node is. */
  readonly isUp: (nodeId: string) => boolean;
  /** Where a member is, as far as it is known: it may have said that it is elsewhere than the catalogue says. */
  readonly addressOf: (nodeId: string) => string | undefined;
  /** A member says where it is now. */
  readonly moved: (nodeId: string, address: string) => void;
  /** The replica of a topic here. */
  readonly topic: (topicId: number) => TopicGroup | undefined;
}

/** What this node does for its peers. */
export class PeerDesk implements PeerHost {
  readonly #options: PeerDeskOptions;

  constructor(options: PeerDeskOptions) {
    this.#options = options;
  }

  self(): PeerSelf {
    return this.#options.self();
  }

  admits(nodeId: string): boolean {
    return !this.#options.catalogue()?.machine.state.isRemoved(nodeId);
  }

  receive(fromNode: string, envelope: RaftEnvelope): boolean {
    return this.#options.raft.receive(fromNode, envelope);
  }

  unreachable(nodeId: string): void {
    this.#options.raft.unreachable(nodeId);
  }

  async join(request: JoinRequest, caller: Abortable): Promise<JoinAnswer> {
    const { clusterId } = this.self();
    const catalogue = this.#options.catalogue();
    if (catalogue === undefined || clusterId === "") {
      throw new ProglogError(
        "CLUSTER_NOT_FOUNDED",
        "Cannot take the server in: this one belongs to no cluster yet",
      );
    }
    if (request.clusterId !== "" && request.clusterId !== clusterId) {
      throw new ProglogError(
        "CLUSTER_FOREIGN",
        `Cannot take server ${request.nodeId} in: it has data of cluster ${request.clusterId}, this is cluster ${clusterId}`,
        { metadata: { clusterId } },
      );
    }
    const { nodeId, address, zone, version, featureLevel, folderNonce } = request;
    // Known first: two that have exchanged their addresses would be refused for each other for ever.
    const known = catalogue.machine.state.member(nodeId);
    if (known?.folderNonce === folderNonce) this.#options.moved(nodeId, address);
    this.#refuseTaken(nodeId, address, catalogue);
    const isNew = known === undefined && request.clusterId === "";
    if (isNew && catalogue.raft.role === "leader") {
      await this.#callBack(request, clusterId, catalogue);
    }
    const server = { nodeId, address, zone, version, featureLevel, folderNonce };
    const outcome = await this.#propose({ kind: "addServer", server }, caller);
    if (outcome.kind !== "serverAdded") throw foreignOutcome(outcome.kind);
    const members = catalogue.machine.state.members().map((member) => ({
      nodeId: member.nodeId,
      address: member.address,
      clusterReplicaId: member.clusterReplicaId,
    }));
    return { clusterId, clusterReplicaId: outcome.member.clusterReplicaId, members };
  }

  async propose(_fromNode: string, command: Uint8Array, caller: Abortable): Promise<Uint8Array> {
    await this.#propose(commandOf(command), caller);
    return NOTHING;
  }

  promiseGenesis(request: GenesisRequest): Promise<GenesisAnswer> {
    return this.#options.genesis.ask(request);
  }

  async invite(request: InviteRequest): Promise<InviteAnswer> {
    return this.#options.invitations.take(this.self(), request);
  }

  async *copyRange(_fromNode: string, request: CopyRequest): AsyncGenerator<CopyPiece> {
    const { topicId, fromReplica, toReplica, firstOffset, endOffset } = request;
    const group = this.#options.topic(topicId);
    if (group === undefined || group.replicaId !== toReplica) {
      throw new ProglogError(
        "REPLICA_MISSING",
        `Cannot copy topic ${topicId}: replica ${toReplica} is not here`,
        { metadata: { topicId: `${topicId}` } },
      );
    }
    for await (const piece of group.machine.stored({ firstOffset, endOffset })) {
      group.raft.snapshotProgressed(fromReplica);
      yield piece;
    }
  }

  async #propose(command: ProposedCatalogueCommand, caller: Abortable) {
    const catalogue = this.#options.catalogue();
    if (catalogue === undefined) throw this.#notLeader();
    try {
      return await proposeToCatalogue(catalogue, command, caller);
    } catch (error) {
      throw hasReason(error, "NOT_LEADER") ? this.#notLeader(error) : error;
    }
  }

  /** A member that nobody can reach would get votes, and never use them. */
  async #callBack(
    { nodeId, address }: JoinRequest,
    clusterId: string,
    { machine }: CatalogueGroup,
  ): Promise<void> {
    const addresses = machine.state.members().map((member) => member.address);
    const said = await this.#options.peers
      .invite(address, { clusterId, addresses }, { timeoutMs: CALL_BACK_MS })
      .catch((cause: unknown) => {
        if (isRefusedInvitation(cause)) return { nodeId: "" };
        throw new ProglogError(
          "SERVER_UNREACHABLE",
          `Cannot take server ${nodeId} in: it is not reached at ${address}, wanted an --advertise that other servers can call`,
          { metadata: { address }, cause },
        );
      });
    if (said.nodeId === nodeId) return;
    throw new ProglogError(
      "FIELD_INVALID",
      `Cannot take server ${nodeId} in: another server answers at ${address}, wanted another --advertise`,
      { metadata: { field: "address" } },
    );
  }

  /** Two servers at one address are one that is never found. */
  #refuseTaken(nodeId: string, address: string, { machine }: CatalogueGroup): void {
    const isTaken = (member: Member) =>
      member.nodeId !== nodeId &&
      this.#options.addressOf(member.nodeId) === address &&
      this.#options.isUp(member.nodeId);
    const holder = machine.state.members().find(isTaken);
    if (holder === undefined) return;
    throw new ProglogError(
      "FIELD_INVALID",
      `Cannot take server ${nodeId} in at ${address}: server ${holder.nodeId} is there and answers, wanted another --advertise`,
      { metadata: { field: "address" } },
    );
  }

  /** Says who leads, so that the caller can go there. */
  #notLeader(cause?: unknown): ProglogError {
    const leader = this.#options.clusterLeader();
    const metadata =
      leader === undefined
        ? { outcome: "none" }
        : {
            leaderId: leader.nodeId,
            leaderAddress: leader.address,
            leaderTerm: `${leader.term}`,
            outcome: "none",
          };
    return new ProglogError(
      "NOT_LEADER",
      "Cannot change the cluster: this server does not lead it",
      {
        metadata,
        cause,
      },
    );
  }
}

function commandOf(bytes: Uint8Array): ProposedCatalogueCommand {
  try {
    return decodeCatalogueCommand(bytes);
  } catch (cause) {
    if (!(cause instanceof MalformedBytesError)) throw cause;
    throw new ProglogError("FIELD_INVALID", `Cannot take the command: ${cause.message}`, {
      metadata: { field: "command" },
      cause,
    });
  }
}
