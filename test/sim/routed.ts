import type { Abortable } from "../../src/base/abortable.ts";
import { hasReason, ProglogError } from "../../src/base/errors.ts";
import { FakeCall } from "../support/fake-call.ts";
import { SimCrash } from "../support/sim-faults.ts";
import type { SimPort } from "../support/sim-port.ts";
import type { Outcome } from "./history.ts";
import type { Life, Machine } from "./machine.ts";
import type { SimulatedServer } from "./server.ts";

/** Between two tries of a call that found no leader, in milliseconds. */
const RETRY_MS = 100;

/** What is done at the server that the call was routed to. */
export type RoutedWork<T> = (server: SimulatedServer, caller: Abortable) => Promise<T> | T;

/** How calls get from machine to machine; see `Simulation`. */
export interface Router {
  /** The server whose network a call has come to. */
  serverAt(port: SimPort): SimulatedServer | undefined;
  wait(ms: number): Promise<void>;
  nowMs(): number;
  schedule(delayMs: number, callback: () => void): () => void;
}

/**
 * Makes a call as the services do: at the server that the client talks to, or one hop further, where the topic is
 * led; while nobody leads, until somebody does. Rejects with a ProglogError, whose metadata tells the outcome, or with
 * whatever a server threw that is none.
 */
export async function routed<T>(
  router: Router,
  call: {
    readonly machine: Machine;
    readonly topic: string;
    readonly deadlineMs: number;
    /** At the machine's own server, whoever leads. */
    readonly isLocal?: boolean;
  },
  work: RoutedWork<T>,
): Promise<T> {
  const caller = new FakeCall();
  const cancel = router.schedule(call.deadlineMs, () => {
    caller.abort(new ProglogError("DEADLINE_EXCEEDED", "The deadline has passed"));
  });
  const endMs = router.nowMs() + call.deadlineMs;
  try {
    for (;;) {
      if (caller.reason !== undefined) throw caller.reason;
      try {
        return await once(router, { ...call, caller, leftMs: endMs - router.nowMs() }, work);
      } catch (error) {
        const isEarly = hasReason(error, "NOT_LEADER") && outcomeOf(error) === "none";
        if (!isEarly) throw error;
        await router.wait(RETRY_MS);
      }
    }
  } finally {
    cancel();
  }
}

interface Try {
  readonly machine: Machine;
  readonly topic: string;
  readonly isLocal?: boolean;
  readonly caller: FakeCall;
  readonly leftMs: number;
}

async function once<T>(router: Router, call: Try, work: RoutedWork<T>): Promise<T> {
  const { machine, topic, caller } = call;
  const { life } = machine;
  const server = life?.server;
  if (life === undefined || server === undefined) throw unreached(machine.name, "none");
  const workHere = async () => await work(server, caller);
  if (call.isLocal === true) return await inLife(life, workHere());
  const route = server.cluster.routeTopic(topic, "leader");
  if (route.kind === "here") return await inLife(life, workHere());
  if (route.kind === "there") {
    const { address } = route.leader;
    const timeoutMs = Math.max(1, call.leftMs);
    const forwarded = life.port.peers.call(
      address,
      async (port, remote) => {
        const other = router.serverAt(port);
        if (other === undefined) throw unreached(address, "none");
        return await work(other, remote);
      },
      { timeoutMs },
    );
    return await inLife(life, forwarded);
  }
  if (route.kind === "missing") {
    await inLife(life, server.cluster.confirmCatalogue({ caller }));
    if (server.cluster.routeTopic(topic, "leader").kind === "missing") {
      throw new ProglogError("TOPIC_NOT_FOUND", `There is no topic "${topic}"`);
    }
  } else {
    await inLife(life, server.cluster.changed({ caller }));
  }
  throw new ProglogError("NOT_LEADER", "To be tried again", { metadata: { outcome: "none" } });
}

/** What a server says as long as it lives. */
async function inLife<T>(life: Life, work: Promise<T>): Promise<T> {
  const over = life.over.then(() => {
    throw unreached("the server", "unknown");
  });
  over.catch(() => {});
  return await Promise.race([work, over]);
}

function unreached(place: string, outcome: "none" | "unknown"): ProglogError {
  return new ProglogError("SERVER_UNREACHABLE", `Cannot reach ${place}`, { metadata: { outcome } });
}

/** What an error says of whether anything was changed. */
export function outcomeOf(error: unknown): Exclude<Outcome, "ok"> {
  if (error instanceof SimCrash) return "unknown";
  return error instanceof ProglogError && error.metadata["outcome"] !== "unknown"
    ? "none"
    : "unknown";
}
