import type { TestContext } from "node:test";
import { writeU32, writeU64 } from "../../src/base/bytes.ts";
import { type Logger, SILENT_LOGGER } from "../../src/base/log.ts";
import type {
  CopyPiece,
  CopyRequest,
  GenesisAnswer,
  GenesisRequest,
  InviteAnswer,
  InviteRequest,
  JoinAnswer,
  JoinRequest,
  PeerHost,
  PeerSelf,
} from "../../src/cluster/peer-host.ts";
import type { Listener, ListenOptions } from "../../src/platform/http-options.ts";
import { SystemClock } from "../../src/platform/system-clock.ts";
import { SystemRandom } from "../../src/platform/system-random.ts";
import { CoreMessageType } from "../../src/raft/core.ts";
import type { RaftEnvelope } from "../../src/raft/transport.ts";
import { CallServer } from "../../src/rpc/call-server.ts";
import { ErrorMap } from "../../src/rpc/error-map.ts";
import { RPC_LIMITS } from "../../src/rpc/limits.ts";
import type { PeerLimits } from "../../src/rpc/peer/peer-limits.ts";
import { PeerNetwork, type PeerNetworkOptions } from "../../src/rpc/peer/peer-network.ts";
import { peerService } from "../../src/rpc/peer/peer-service.ts";
import { ServingState } from "../../src/rpc/serving-state.ts";
import { openPort } from "./ports.ts";

/** So short that a test need not wait long for what takes time by itself. */
export const QUICK: Partial<PeerLimits> = {
  pingIntervalMs: 200,
  pingTimeoutMs: 400,
  backoffMsMin: 10,
  backoffMsMax: 50,
  dialTimeoutMs: 500,
};

/** What a node got. */
export interface Received {
  readonly from: string;
  readonly envelope: RaftEnvelope;
}

/** A node's host that remembers what it is told, and answers as a test says. */
export class FakeHost implements PeerHost {
  readonly received: Received[] = [];
  readonly lost: string[] = [];
  clusterId: string;
  readonly #nodeId: string;
  /** Whether a replica is here. */
  has = (_envelope: RaftEnvelope): boolean => true;
  admits = (_nodeId: string): boolean => true;
  copy: (request: CopyRequest) => AsyncIterable<CopyPiece> = noPieces;
  answerJoin: (request: JoinRequest) => Promise<JoinAnswer> = () => Promise.reject(new Error("no"));
  answerInvite: (request: InviteRequest) => Promise<InviteAnswer> = () =>
    Promise.reject(new Error("not invited"));
  answerGenesis: (request: GenesisRequest) => Promise<GenesisAnswer> = () =>
    Promise.reject(new Error("no"));
  answerProposal: (from: string, command: Uint8Array) => Promise<Uint8Array> = () =>
    Promise.reject(new Error("no"));
  #wake = () => {};

  constructor(nodeId: string, clusterId: string) {
    this.#nodeId = nodeId;
    this.clusterId = clusterId;
  }

  self(): PeerSelf {
    return { nodeId: this.#nodeId, clusterId: this.clusterId };
  }

  receive(from: string, envelope: RaftEnvelope): boolean {
    if (!this.has(envelope)) return false;
    this.received.push({ from, envelope });
    this.#wake();
    return true;
  }

  unreachable(nodeId: string): void {
    this.lost.push(nodeId);
    this.#wake();
  }

  join(request: JoinRequest): Promise<JoinAnswer> {
    return this.answerJoin(request);
  }

  promiseGenesis(request: GenesisRequest): Promise<GenesisAnswer> {
    return this.answerGenesis(request);
  }

  invite(request: InviteRequest): Promise<InviteAnswer> {
    return this.answerInvite(request);
  }

  propose(from: string, command: Uint8Array): Promise<Uint8Array> {
    return this.answerProposal(from, command);
  }

  copyRange(_from: string, request: CopyRequest): AsyncIterable<CopyPiece> {
    return this.copy(request);
  }

  /** Resolves when `isSo`, which is asked whenever something came or was lost. */
  async until(isSo: () => boolean): Promise<void> {
    while (!isSo()) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

async function* noPieces(): AsyncGenerator<CopyPiece> {}

export interface TestNode {
  readonly nodeId: string;
  readonly network: PeerNetwork;
  readonly host: FakeHost;
  readonly listener: Listener;
  readonly address: string;
}

export interface NodeOptions {
  readonly clusterId?: string;
  readonly limits?: Partial<PeerLimits>;
  readonly logger?: Logger;
  readonly network?: Partial<PeerNetworkOptions>;
  readonly listen?: Partial<ListenOptions>;
  readonly callLimits?: Partial<typeof RPC_LIMITS>;
  readonly lean?: boolean;
  /** Default: found among `places`. */
  readonly addressOf?: (nodeId: string) => string | undefined;
}

/** Nodes with real ports that find each other by `places`. */
export class PeerWorld {
  readonly places = new Map<string, string>();
  readonly #t: TestContext;

  constructor(t: TestContext) {
    this.#t = t;
  }

  async start(nodeId: string, options: NodeOptions = {}): Promise<TestNode> {
    const { clusterId = "cluster", limits = QUICK, logger = SILENT_LOGGER, listen } = options;
    const network = new PeerNetwork({
      clock: new SystemClock(),
      random: new SystemRandom(),
      logger,
      limits,
      ...options.network,
    });
    const host = new FakeHost(nodeId, clusterId);
    const addressOf = options.addressOf ?? ((id: string) => this.places.get(id));
    network.attach({ host, addressOf });
    this.#t.after(() => network.close());
    const listener = await this.serve(network, logger, { ...options, listen: listen ?? {} });
    const address = `127.0.0.1:${listener.port}`;
    this.places.set(nodeId, address);
    return { nodeId, network, host, listener, address };
  }

  serve(network: PeerNetwork, logger: Logger, options: NodeOptions): Promise<Listener> {
    const clock = new SystemClock();
    const errors = new ErrorMap(logger, "test", (error) => {
      throw error;
    });
    const state = new ServingState();
    const limits = { ...RPC_LIMITS, ...options.callLimits };
    const calls = new CallServer([peerService(network.server)], {
      clock,
      logger,
      errors,
      state,
      limits,
      lean: options.lean,
    });
    return openPort(
      this.#t,
      (request, response, connection) => {
        calls.handle(request, response, request.url ?? "", connection);
      },
      {
        onStream: (stream, headers, connection) => calls.handleStream(stream, headers, connection),
        ...options.listen,
      },
    );
  }
}

const HEAD_BYTES = 62;

/** A message of the core without entries; `index` tells one from another. */
export function coreMessage(type: number, index = 0): Uint8Array {
  const message = new Uint8Array(HEAD_BYTES);
  message[0] = type;
  const view = new DataView(message.buffer);
  writeU64(view, 2, 2);
  writeU64(view, 10, 1);
  writeU64(view, 18, 7);
  writeU64(view, 34, index);
  writeU32(message, 58, 0);
  return message;
}

export function heartbeat(index = 0): RaftEnvelope {
  const message = coreMessage(CoreMessageType.heartbeat, index);
  return { topicId: 3, fromReplica: 1, toReplica: 2, message };
}

export function append(index: number, ...payloads: Uint8Array[]): RaftEnvelope {
  const message = coreMessage(CoreMessageType.append, index);
  return { topicId: 3, fromReplica: 1, toReplica: 2, message, payloads };
}
