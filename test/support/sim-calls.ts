import { ProglogError } from "../../src/base/errors.ts";
import type {
  CopyPiece,
  CopyRequest,
  GenesisAnswer,
  GenesisRequest,
  InviteAnswer,
  InviteRequest,
  JoinAnswer,
  JoinRequest,
  PeerCallOptions,
  PeerCalls,
  PeerHost,
} from "../../src/cluster/peer-host.ts";
import { FakeCall } from "./fake-call.ts";
import { SimCrash } from "./sim-faults.ts";
import type { SimNetwork } from "./sim-network.ts";
import type { SimPort } from "./sim-port.ts";

const TIMEOUT_MS = 5_000;
const COPY_TIMEOUT_MS = 30_000;
/** Of a message that carries no records. */
const CALL_BYTES = 200;

/** Runs at the machine that is asked. `caller` is given up when the one that asks is gone. */
export type RemoteWork<T> = (target: SimPort, caller: FakeCall) => Promise<T>;

interface OpenCall {
  readonly address: string;
  fail(error: ProglogError): void;
}

/** Calls from one machine to others: they are carried out once or not at all, and the answer may be lost. */
export class SimCalls implements PeerCalls {
  readonly #network: SimNetwork;
  readonly #port: SimPort;
  readonly #open = new Set<OpenCall>();

  constructor(network: SimNetwork, port: SimPort) {
    this.#network = network;
    this.#port = port;
  }

  join(address: string, request: JoinRequest, options?: PeerCallOptions): Promise<JoinAnswer> {
    const sent = structuredClone(request);
    return this.call(
      address,
      async (target, caller) => structuredClone(await hostOf(target).join(sent, caller)),
      options,
    );
  }

  async propose(
    nodeId: string,
    command: Uint8Array,
    options?: PeerCallOptions,
  ): Promise<Uint8Array> {
    const sent = command.slice();
    const { nodeId: self } = this.#port.node?.host.self() ?? { nodeId: "" };
    return await this.call(
      this.#addressOf(nodeId),
      async (target, caller) => (await hostOf(target).propose(self, sent, caller)).slice(),
      options,
    );
  }

  promiseGenesis(
    address: string,
    request: GenesisRequest,
    options?: PeerCallOptions,
  ): Promise<GenesisAnswer> {
    const sent = structuredClone(request);
    return this.call(
      address,
      async (target, caller) => structuredClone(await hostOf(target).promiseGenesis(sent, caller)),
      options,
    );
  }

  invite(
    address: string,
    request: InviteRequest,
    options?: PeerCallOptions,
  ): Promise<InviteAnswer> {
    const sent = structuredClone(request);
    return this.call(
      address,
      async (target, caller) => structuredClone(await hostOf(target).invite(sent, caller)),
      options,
    );
  }

  async *copyRange(
    nodeId: string,
    request: CopyRequest,
    options: PeerCallOptions = {},
  ): AsyncIterable<CopyPiece> {
    const address = this.#addressOf(nodeId);
    const { timeoutMs = COPY_TIMEOUT_MS, signal } = options;
    const waiting = { timeoutMs, ...(signal === undefined ? {} : { signal }) };
    const caller = new FakeCall();
    let pieces: AsyncIterator<CopyPiece> | undefined;
    let served: SimPort | undefined;
    try {
      for (;;) {
        const next = await this.call(
          address,
          async (target) => {
            served ??= target;
            if (served !== target) throw unreached(address);
            const { nodeId: self } = this.#port.node?.host.self() ?? { nodeId: "" };
            pieces ??= hostOf(target).copyRange(self, request, caller)[Symbol.asyncIterator]();
            const result = await pieces.next();
            return result.done === true ? undefined : copyOf(result.value);
          },
          waiting,
        );
        if (next === undefined) return;
        yield next;
      }
    } finally {
      caller.abort();
      // What the other side had under way notices a little later, and on its own.
      if (served?.isOver === false) void pieces?.return?.().catch(() => {});
    }
  }

  /**
   * Asks whoever answers at `address`. Rejects with what the work rejects with, when that is an error for
   * callers; with NO_QUORUM when nobody answers, or the connection breaks: then nobody knows whether the work was
   * done.
   */
  call<T>(address: string, work: RemoteWork<T>, options: PeerCallOptions = {}): Promise<T> {
    const { timeoutMs = TIMEOUT_MS, signal } = options;
    return new Promise((resolve, reject) => {
      const caller = new FakeCall();
      const end = () => {
        this.#open.delete(open);
        cancelTimer();
        signal?.removeEventListener("abort", giveUp);
      };
      const fail = (error: unknown) => {
        if (!this.#open.has(open)) return;
        end();
        caller.abort();
        reject(error);
      };
      const open: OpenCall = { address, fail };
      const giveUp = () => fail(canceled("The caller gave the call up"));
      this.#open.add(open);
      const cancelTimer = this.#port.clock.schedule(timeoutMs, () => fail(unreached(address)));
      if (signal?.aborted === true) {
        giveUp();
        return;
      }
      signal?.addEventListener("abort", giveUp);
      this.#ask({ address, work, caller, fail }, (value) => {
        if (!this.#open.has(open)) return;
        end();
        resolve(value);
      });
    });
  }

  #ask<T>(
    parts: {
      readonly address: string;
      readonly work: RemoteWork<T>;
      readonly caller: FakeCall;
      readonly fail: (error: unknown) => void;
    },
    done: (value: T) => void,
  ): void {
    const { address, work, caller, fail } = parts;
    const lost = () => fail(unreached(address));
    const target = this.#network.at(address);
    if (target === undefined || this.#port.isOver) {
      this.#network.clock.schedule(1, () => fail(unreached(address, false)));
      return;
    }
    const carry = (from: SimPort, to: SimPort, arrive: () => void) =>
      this.#network.transit(from, to, { bytes: CALL_BYTES, label: "call", arrive, broken: lost });
    carry(this.#port, target, () => {
      if (target.node === undefined) {
        this.#network.clock.schedule(1, lost);
        return;
      }
      void work(target, caller).then(
        (value) => carry(target, this.#port, () => done(value)),
        (error) => {
          // A machine that has stopped says nothing; what is no error for callers breaks the connection.
          if (error instanceof SimCrash || target.isOver) return;
          const told = error instanceof ProglogError ? copyOfError(error) : unreached(address);
          carry(target, this.#port, () => fail(told));
        },
      );
    });
  }

  #addressOf(nodeId: string): string {
    const address = this.#port.node?.addressOf(nodeId);
    if (address === undefined) throw unreached(nodeId, false);
    return address;
  }

  hasDialled(address: string): boolean {
    for (const call of this.#open) if (call.address === address) return true;
    return false;
  }

  broke(address: string): void {
    for (const call of [...this.#open]) {
      if (call.address === address) call.fail(unreached(address));
    }
  }

  /** The machine stops: whoever was asked sees that nobody waits any more. */
  end(): void {
    for (const call of [...this.#open]) call.fail(canceled("The machine stops"));
  }
}

function hostOf(target: SimPort): PeerHost {
  const node = target.node;
  if (node === undefined) throw unreached(target.address);
  return node.host;
}

/** There was no answer: nobody is there, or the connection broke. */
export class SimUnreached extends ProglogError {
  /** False: the call did not get there. */
  readonly isSent: boolean;

  constructor(place: string, isSent: boolean) {
    const outcome = isSent ? "unknown" : "none";
    super("NO_QUORUM", `Cannot reach "${place}"`, { metadata: { outcome } });
    this.isSent = isSent;
  }
}

function unreached(place: string, isSent = true): ProglogError {
  return new SimUnreached(place, isSent);
}

/** Nobody knows what the other side has done. */
function canceled(message: string): ProglogError {
  return new ProglogError("CANCELED", message, { metadata: { outcome: "unknown" } });
}

function copyOf({ firstOffset, frames }: CopyPiece): CopyPiece {
  return { firstOffset, frames: frames.map((frame) => frame.slice()) };
}

function copyOfError(error: ProglogError): ProglogError {
  const { reason, message, metadata } = error;
  // The cause is for people who look for a defect: it did not cross the network.
  return new ProglogError(reason, message, { metadata: { ...metadata }, cause: error });
}
