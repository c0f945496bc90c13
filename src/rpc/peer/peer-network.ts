import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import type { NetworkedNode, NodeNetwork } from "../../cluster/node-network.ts";
import type { PeerCalls } from "../../cluster/peer-host.ts";
import type { ClientTls } from "../../platform/http-client-socket.ts";
import type { RaftEnvelope, RaftTransport } from "../../raft/transport.ts";
import { OutboundCalls } from "./peer-calls.ts";
import { PEER_LIMITS, type PeerLimits } from "./peer-limits.ts";
import { PeerLink } from "./peer-link.ts";
import { PeerServer } from "./peer-server.ts";
import type { PeerHouse } from "./peer-stream.ts";

export interface PeerNetworkOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** How peers are called; asked at each dial. Absent or undefined: in plaintext. */
  readonly clientTls?: () => ClientTls | undefined;
  readonly limits?: Partial<PeerLimits>;
}

/**
 * All traffic between this node and its peers. Messages of Raft go over streams that are opened at the first
 * one and kept: see docs/adr/0011-peer-streams.md. What comes in comes by {@link server}, which the port serves.
 */
export class PeerNetwork implements NodeNetwork, RaftTransport {
  readonly transport: RaftTransport = this;
  readonly peers: PeerCalls;
  readonly server: PeerServer;
  readonly #calls: OutboundCalls;
  readonly #house: PeerHouse;
  readonly #logger: Logger;
  readonly #links = new Map<string, PeerLink>();
  #node: NetworkedNode | undefined;
  #isClosed = false;

  constructor({ clock, random, logger, clientTls, limits = {} }: PeerNetworkOptions) {
    this.#house = {
      clock,
      random,
      clientTls: clientTls ?? (() => undefined),
      limits: { ...PEER_LIMITS, ...limits },
      processNonce: BigInt(random.safeInteger()),
    };
    this.#logger = logger;
    this.#calls = new OutboundCalls({
      ...this.#house,
      self: () => this.#node?.host.self(),
      addressOf: (nodeId) => this.#node?.addressOf(nodeId),
    });
    this.peers = this.#calls;
    this.server = new PeerServer({
      ...this.#house,
      host: () => this.#node?.host,
      onHeard: (nodeId) => this.#links.get(nodeId)?.heard(),
    });
  }

  attach(node: NetworkedNode): void {
    this.#node = node;
  }

  send(nodeId: string, envelope: RaftEnvelope): boolean {
    return this.#linkTo(nodeId)?.send(envelope) ?? false;
  }

  /** Whoever asks has it looked at from then on. */
  isUp(nodeId: string): boolean | undefined {
    if (nodeId === this.#node?.host.self().nodeId) return true;
    const link = this.#linkTo(nodeId);
    link?.open();
    return link?.isUp;
  }

  isDisowned(): boolean {
    const links = [...this.#links.values()];
    return links.some(({ isDisowned }) => isDisowned) && links.every(({ isTaken }) => !isTaken);
  }

  /** When a peer was last heard of, on the clock's monotonic time; undefined: never, or never asked. */
  lastHeardMs(nodeId: string): number | undefined {
    return this.#links.get(nodeId)?.heardMs;
  }

  clockOffsetUs(nodeId: string): number | undefined {
    return this.#links.get(nodeId)?.clockOffsetUs;
  }

  /** Ends all streams, ours and those of peers, and all calls. Hand leaderships over before. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const link of this.#links.values()) link.close();
    this.#links.clear();
    this.#calls.close();
    this.server.close();
  }

  /** @returns undefined when there is no such member */
  #linkTo(nodeId: string): PeerLink | undefined {
    const found = this.#links.get(nodeId);
    const node = this.#node;
    if (found !== undefined || node === undefined || this.#isClosed) return found;
    if (node.addressOf(nodeId) === undefined) return undefined;
    const link = new PeerLink({
      ...this.#house,
      nodeId,
      logger: this.#logger,
      address: () => node.addressOf(nodeId),
      self: () => node.host.self(),
      onLost: () => node.host.unreachable(nodeId),
    });
    this.#links.set(nodeId, link);
    return link;
  }
}
