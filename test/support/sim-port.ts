import type { Clock } from "../../src/base/clock.ts";
import type { NetworkedNode, NodeNetwork } from "../../src/cluster/node-network.ts";
import type { PeerSelf } from "../../src/cluster/peer-host.ts";
import { crc32 } from "../../src/platform/crc32.ts";
import type { RaftEnvelope } from "../../src/raft/transport.ts";
import { SimCalls } from "./sim-calls.ts";
import type { SimNetwork } from "./sim-network.ts";

/** A peer that was not heard of for so long is taken to be down, in milliseconds. */
const SILENCE_MS_MAX = 3_000;
const PING_MS = 1_000;
const PING_BYTES = 32;
/** Between two attempts to dial a peer that does not answer. */
const REDIAL_MS = 200;

export interface SimPortOptions {
  readonly name: string;
  readonly address: string;
  /** Of this life of the machine. */
  readonly clock: Clock;
}

interface Peer {
  heardMs: number | undefined;
  clockOffsetUs: number | undefined;
  /** Nothing is dialled before. */
  redialMs: number;
  address: string | undefined;
}

/** The network of one life of one machine. */
export class SimPort implements NodeNetwork {
  readonly transport = {
    send: (nodeId: string, envelope: RaftEnvelope) => this.#send(nodeId, envelope),
  };
  readonly peers: SimCalls;
  readonly #network: SimNetwork;
  readonly #options: SimPortOptions;
  readonly #peers = new Map<string, Peer>();
  #node: NetworkedNode | undefined;
  #isOver = false;

  constructor(network: SimNetwork, options: SimPortOptions) {
    this.#network = network;
    this.#options = options;
    this.peers = new SimCalls(network, this);
  }

  get name(): string {
    return this.#options.name;
  }

  get address(): string {
    return this.#options.address;
  }

  get clock(): Clock {
    return this.#options.clock;
  }

  /** True when this life has ended. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** What the node offers; undefined before it has attached itself. */
  get node(): NetworkedNode | undefined {
    return this.#isOver ? undefined : this.#node;
  }

  attach(node: NetworkedNode): void {
    if (this.#node !== undefined) throw new Error(`"${this.name}" has a node already`);
    this.#node = node;
    this.#ping();
  }

  isDisowned = (): boolean => false;

  isUp(nodeId: string): boolean | undefined {
    if (nodeId === this.#self().nodeId) return true;
    const peer = this.#peers.get(nodeId);
    if (peer === undefined) return undefined;
    const nowMs = this.clock.monotonicMs();
    return peer.heardMs !== undefined && nowMs - peer.heardMs < SILENCE_MS_MAX;
  }

  clockOffsetUs(nodeId: string): number | undefined {
    return this.#peers.get(nodeId)?.clockOffsetUs;
  }

  close(): Promise<void> {
    this.#network.disconnect(this);
    return Promise.resolve();
  }

  /** This life ends: nothing is sent or told any more. */
  end(): void {
    this.#isOver = true;
    this.peers.end();
  }

  hasDialled(address: string): boolean {
    for (const peer of this.#peers.values()) if (peer.address === address) return true;
    return this.peers.hasDialled(address);
  }

  /** The connection to whatever was at that address is of no use any more. */
  broke(address: string): void {
    if (this.#isOver) return;
    this.peers.broke(address);
    for (const [nodeId, peer] of this.#peers) {
      if (peer.address === address) this.#unreachable(nodeId);
    }
  }

  #send(nodeId: string, envelope: RaftEnvelope): boolean {
    const target = this.#dial(nodeId);
    if (target === undefined) return false;
    const size = envelope.message.length + (envelope.payloads ?? []).reduce(addLength, 0);
    const sent = copyOf(envelope);
    const self = this.#self();
    const { topicId, fromReplica, toReplica, message } = envelope;
    return this.#network.transit(this, target, {
      bytes: size,
      label: `${topicId}/${fromReplica}>${toReplica} ${size} ${crc32(message)}`,
      arrive: (port) => port.#receive({ from: this, self, nodeId, envelope: copyOf(sent) }),
    });
  }

  #receive(
    come: { from: SimPort; self: PeerSelf; nodeId: string; envelope: RaftEnvelope } & object,
  ): void {
    const { from, self, nodeId, envelope } = come;
    if (!this.#isHello(self, nodeId)) {
      this.#network.clock.schedule(1, () => from.#unreachable(nodeId));
      return;
    }
    this.#heard(self.nodeId);
    const isTaken = this.#node?.host.receive(self.nodeId, envelope) ?? false;
    if (!isTaken) this.#network.trace(`refused ${this.name} ${envelope.topicId}`);
  }

  /** Whether a peer's stream is let in: it means this node, and is of its cluster. */
  #isHello(peer: PeerSelf, wantedNodeId: string): boolean {
    const host = this.node?.host;
    if (host === undefined) return false;
    const self = host.self();
    if (self.nodeId !== wantedNodeId || self.nodeId === peer.nodeId) return false;
    if (self.clusterId !== "" && peer.clusterId !== self.clusterId) return false;
    return host.admits(peer.nodeId);
  }

  #self(): PeerSelf {
    return this.#node?.host.self() ?? { nodeId: "", clusterId: "" };
  }

  #heard(nodeId: string, wallUs?: number): void {
    const peer = this.#peer(nodeId);
    peer.heardMs = this.clock.monotonicMs();
    if (wallUs !== undefined) peer.clockOffsetUs = wallUs - this.clock.wallUs();
  }

  #dial(nodeId: string): SimPort | undefined {
    const address = this.node?.addressOf(nodeId);
    if (address === undefined) return undefined;
    const peer = this.#peer(nodeId);
    const isNew = peer.address !== address;
    peer.address = address;
    const target = this.#network.at(address);
    if (target !== undefined) return target;
    const nowMs = this.clock.monotonicMs();
    if (isNew || nowMs >= peer.redialMs) {
      peer.redialMs = nowMs + REDIAL_MS;
      this.#network.clock.schedule(1, () => this.#unreachable(nodeId));
    }
    return undefined;
  }

  #unreachable(nodeId: string): void {
    if (this.#isOver) return;
    this.#network.trace(`unreachable ${this.name} ${nodeId}`);
    this.#node?.host.unreachable(nodeId);
  }

  #ping(): void {
    this.clock.schedule(PING_MS, () => {
      for (const nodeId of this.#peers.keys()) this.#pingOne(nodeId);
      this.#ping();
    });
  }

  #pingOne(nodeId: string): void {
    const target = this.#dial(nodeId);
    if (target === undefined) return;
    const self = this.#self();
    const carry = (from: SimPort, to: SimPort, arrive: () => void) =>
      this.#network.transit(from, to, { bytes: PING_BYTES, label: "ping", arrive });
    const wallUs = this.clock.wallUs();
    carry(this, target, () => {
      if (!target.#isHello(self, nodeId)) return;
      target.#heard(self.nodeId, wallUs);
      const answerUs = target.clock.wallUs();
      carry(target, this, () => this.#heard(nodeId, answerUs));
    });
  }

  #peer(nodeId: string): Peer {
    const known = this.#peers.get(nodeId);
    if (known !== undefined) return known;
    const made: Peer = {
      heardMs: undefined,
      clockOffsetUs: undefined,
      redialMs: 0,
      address: undefined,
    };
    this.#peers.set(nodeId, made);
    return made;
  }
}

function copyOf(envelope: RaftEnvelope): RaftEnvelope {
  const { payloads } = envelope;
  return {
    ...envelope,
    message: envelope.message.slice(),
    ...(payloads === undefined ? {} : { payloads: payloads.map((payload) => payload.slice()) }),
  };
}

function addLength(total: number, { length }: Uint8Array): number {
  return total + length;
}
