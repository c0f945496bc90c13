import type { Abortable } from "../../src/base/abortable.ts";
import { ProglogError } from "../../src/base/errors.ts";
import type { LeaderPlace } from "../../src/cluster/cluster-view.ts";
import type { Call } from "../../src/rpc/call.ts";
import type { Hop } from "../../src/rpc/forward/hop.ts";
import { FORWARDED_HEADER, HopFailure } from "../../src/rpc/forward/hop-failure.ts";
import { Router } from "../../src/rpc/forward/router.ts";
import { TopicsSource } from "../../src/rpc/topics-source.ts";
import { FakeCall } from "../support/fake-call.ts";
import { SimUnreached } from "../support/sim-calls.ts";
import { SimCrash } from "../support/sim-faults.ts";
import type { SimPort } from "../support/sim-port.ts";
import type { Outcome } from "./history.ts";
import type { Life, Machine } from "./machine.ts";
import type { SimulatedServer } from "./server.ts";

/** What is done at the server that the call was routed to. */
export type RoutedWork<T> = (server: SimulatedServer, caller: Abortable) => Promise<T> | T;

/** How calls get from machine to machine; see `Simulation`. */
export interface Ways {
  /** The machine's life whose network a call has come to. */
  lifeAt(port: SimPort): Life | undefined;
  wait(ms: number): Promise<void>;
  nowMs(): number;
  schedule(delayMs: number, callback: () => void): () => void;
}

export interface RoutedCall {
  readonly machine: Machine;
  /** It goes to who leads that. */
  readonly topic: string;
  readonly deadlineMs: number;
  /** It changes something: not to be made twice. */
  readonly isWrite: boolean;
  /** At the machine's own server, whoever leads. */
  readonly isLocal?: boolean;
}

/** What the services' router wants to know of a call. */
class SimCall extends FakeCall {
  readonly headers: Record<string, string> = {};
  readonly deadlineMs: number;
  readonly dueMs: number;

  constructor(life: Life, deadlineMs: number) {
    super();
    this.deadlineMs = deadlineMs;
    this.dueMs = life.clock.monotonicMs() + deadlineMs;
  }

  failedWith(): void {}
}

/**
 * Makes a call as clients do, by the services' own router: at the server that the client talks to, or one hop further,
 * where the topic is led; while nobody leads, until somebody does. Rejects with a ProglogError, whose metadata tells the
 * outcome, or with whatever a server threw that is none.
 */
export async function routed<T>(
  ways: Ways,
  { machine, ...errand }: RoutedCall,
  work: RoutedWork<T>,
): Promise<T> {
  const { life } = machine;
  if (life?.server === undefined) throw gone(machine.name, "none");
  const call = new SimCall(life, errand.deadlineMs);
  const cancel = ways.schedule(errand.deadlineMs, () => {
    call.abort(new ProglogError("DEADLINE_EXCEEDED", "The deadline has passed"));
  });
  try {
    return await inLife(life, serve(ways, life, { ...errand, call }, work));
  } finally {
    cancel();
  }
}

interface Served extends Omit<RoutedCall, "machine"> {
  readonly call: SimCall;
}

/** What the services of a server do with a call that has come to it. */
async function serve<T>(ways: Ways, life: Life, errand: Served, work: RoutedWork<T>): Promise<T> {
  const { server } = life;
  const { call, topic, isWrite } = errand;
  if (server === undefined) throw new ProglogError("STARTING", "The server is not open yet");
  const here = async () => await work(server, call);
  if (errand.isLocal === true) return await here();
  const router = new Router({
    topics: new TopicsSource(server, life.clock, errand.deadlineMs),
    hop: undefined as unknown as Hop,
    clock: life.clock,
    draining: new AbortController().signal,
  });
  return await router.serve({
    ...{ topic, isWrite, here },
    call: call as unknown as Call,
    need: "leader",
    there: (place) => hop(ways, life, { ...errand, place }, work),
  });
}

/** Asks another server, which does not pass the call on again. */
async function hop<T>(
  ways: Ways,
  life: Life,
  errand: Served & { readonly place: LeaderPlace },
  work: RoutedWork<T>,
): Promise<T> {
  const { place, call } = errand;
  const deadlineMs = Math.max(1, call.dueMs - life.clock.monotonicMs());
  try {
    return await life.port.peers.call(
      place.address,
      async (port, remote) => {
        const other = ways.lifeAt(port);
        if (other === undefined) throw gone(place.address, "none");
        const forwarded = new SimCall(other, deadlineMs);
        forwarded.headers[FORWARDED_HEADER] = "sim";
        remote.whenAborted(() => forwarded.abort(remote.reason));
        return await serve(ways, other, { ...errand, deadlineMs, call: forwarded }, work);
      },
      { timeoutMs: deadlineMs },
    );
  } catch (error) {
    if (error instanceof SimUnreached) throw new HopFailure(error.message, error.isSent, error);
    throw error;
  }
}

/** What a server says as long as it lives. */
async function inLife<T>(life: Life, work: Promise<T>): Promise<T> {
  const over = life.over.then(() => {
    throw gone("the server", "unknown");
  });
  over.catch(() => {});
  return await Promise.race([work, over]);
}

function gone(place: string, outcome: "none" | "unknown"): ProglogError {
  return new ProglogError("SERVER_UNREACHABLE", `Cannot reach ${place}`, { metadata: { outcome } });
}

/** What an error says of whether anything was changed. */
export function outcomeOf(error: unknown): Exclude<Outcome, "ok"> {
  if (error instanceof SimCrash) return "unknown";
  return error instanceof ProglogError && error.metadata["outcome"] !== "unknown"
    ? "none"
    : "unknown";
}
