/**
 * What messages between two servers cost, each in a process of its own, on loopback:
 *
 *     node test/rpc/peer-bench.ts          bun test/rpc/peer-bench.ts
 *
 * Rates with much in flight, CPU of either side for each message, and how long one message
 * alone takes one way (half of there and back).
 */
import { spawn } from "node:child_process";
import { setImmediate as nextTurn } from "node:timers/promises";
import { SILENT_LOGGER } from "../../src/base/log.ts";
import { KIB, MIB } from "../../src/base/units.ts";
import { listen } from "../../src/platform/http-listener.ts";
import { SystemClock } from "../../src/platform/system-clock.ts";
import { SystemRandom } from "../../src/platform/system-random.ts";
import { messageIndex } from "../../src/raft/core-messages.ts";
import type { RaftEnvelope } from "../../src/raft/transport.ts";
import { CallServer } from "../../src/rpc/call-server.ts";
import { ErrorMap } from "../../src/rpc/error-map.ts";
import { RPC_LIMITS } from "../../src/rpc/limits.ts";
import { PeerNetwork } from "../../src/rpc/peer/peer-network.ts";
import { peerService } from "../../src/rpc/peer/peer-service.ts";
import { ServingState } from "../../src/rpc/serving-state.ts";
import { append, FakeHost, heartbeat } from "./peer-world.ts";

const LOADS = [
  { name: "100 B payload", bytes: 100, total: 400_000 },
  { name: "64 KiB payload", bytes: 64 * KIB, total: 8_000 },
  { name: "4 MiB payload", bytes: 4 * MIB, total: 200 },
];
const PAUSES = 3_000;
/** Messages that may be unanswered. */
const AHEAD_BYTES = 12 * MIB;
const COUNT_MAX = 4_096;
/** In place of a topic: an answer that has CPU time. */
const CPU = 8;
/** The same: this one is answered. */
const ASKS = 9;

interface Side {
  readonly network: PeerNetwork;
  readonly port: number;
  places: Map<string, string>;
  onMessage: (envelope: RaftEnvelope) => void;
}

async function openSide(nodeId: string): Promise<Side> {
  const clock = new SystemClock();
  const network = new PeerNetwork({ clock, random: new SystemRandom(), logger: SILENT_LOGGER });
  const host = new FakeHost(nodeId, "bench");
  const side = {
    network,
    port: 0,
    places: new Map<string, string>(),
    onMessage: (_: RaftEnvelope) => {},
  };
  host.receive = (_from, envelope) => {
    side.onMessage(envelope);
    return true;
  };
  network.attach({ host, addressOf: (id) => side.places.get(id) });
  const errors = new ErrorMap(SILENT_LOGGER, "bench", (error) => {
    throw error;
  });
  const calls = new CallServer([peerService(network.server)], {
    clock,
    logger: SILENT_LOGGER,
    errors,
    state: new ServingState(),
    limits: RPC_LIMITS,
  });
  const listener = await listen({
    host: "127.0.0.1",
    port: 0,
    clock,
    logger: SILENT_LOGGER,
    onRequest: (request, response, connection) => {
      calls.handle(request, response, request.url ?? "", connection);
    },
    onStream: (stream, headers, connection) => calls.handleStream(stream, headers, connection),
  });
  return Object.assign(side, { port: listener.port });
}

/** Answers a heartbeat with its CPU time, and tells how many payloads have come: not after each small one. */
async function echo(port: string): Promise<void> {
  const side = await openSide("echo");
  side.places.set("main", `127.0.0.1:${port}`);
  let count = 0;
  side.onMessage = ({ payloads, topicId }) => {
    if (payloads === undefined) {
      side.network.send("main", { ...heartbeat(cpuUs()), topicId: CPU });
      return;
    }
    count += 1;
    const isLarge = (payloads[0]?.length ?? 0) > KIB;
    if (isLarge || count % 16 === 0 || topicId === ASKS)
      side.network.send("main", heartbeat(count));
  };
  process.stdout.write(`${side.port}\n`);
}

function cpuUs(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/** The other side, as it is seen from this one. */
class Far {
  readonly #side: Side;
  /** Payloads that were sent, and those that the other side has said to have. */
  sent = 0;
  answered = 0;
  #cpuUs = 0;
  #wake = () => {};

  constructor(side: Side) {
    this.#side = side;
    side.onMessage = ({ message, topicId }) => {
      if (topicId === CPU) this.#cpuUs = messageIndex(message);
      else this.answered = messageIndex(message);
      this.#wake();
    };
  }

  async cpuUs(): Promise<number> {
    this.#cpuUs = 0;
    await this.#send(heartbeat());
    await this.#until(() => this.#cpuUs > 0);
    return this.#cpuUs;
  }

  /** Sends a payload that is answered whatever came before it, and waits until all are. */
  async settle(payload: Uint8Array): Promise<void> {
    this.sent += 1;
    await this.#send({ ...append(1, payload), topicId: ASKS });
    await this.#until(() => this.answered === this.sent);
  }

  /** Sends payloads, so many unanswered ones at most. */
  async flood(payload: Uint8Array, count: number, aheadMax: number): Promise<void> {
    for (let done = 0; done < count; done += 1) {
      await this.#until(() => this.sent - this.answered < aheadMax);
      this.sent += 1;
      await this.#send(append(1, payload));
      if (done % 64 === 0) await nextTurn();
    }
  }

  async #send(envelope: RaftEnvelope): Promise<void> {
    while (!this.#side.network.send("echo", envelope)) await nextTurn();
  }

  async #until(isSo: () => boolean): Promise<void> {
    while (!isSo()) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

async function main(): Promise<void> {
  const side = await openSide("main");
  const child = spawn(process.execPath, [process.argv[1] ?? "", "echo", `${side.port}`], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const port = await new Promise<string>((resolve) =>
    child.stdout.once("data", (text) => resolve(`${text}`.trim())),
  );
  side.places.set("echo", `127.0.0.1:${port}`);
  const far = new Far(side);
  const small = new Uint8Array(100);
  await measurePauses("control", () => far.cpuUs());
  await measurePauses("payload of 100 B", () => far.settle(small));
  for (const { name, bytes, total } of LOADS) {
    const payload = new Uint8Array(bytes).fill(7);
    const theirsUs = await far.cpuUs();
    const oursUs = cpuUs();
    const startMs = performance.now();
    await far.flood(payload, total, Math.max(3, Math.min(COUNT_MAX, AHEAD_BYTES / bytes)));
    await far.settle(small);
    const ms = performance.now() - startMs;
    const ours = (cpuUs() - oursUs) / total;
    const theirs = ((await far.cpuUs()) - theirsUs) / total;
    report(
      name,
      `${Math.round((total / ms) * 1000)} messages/s, ${Math.round((total * bytes) / ms / 1000)} MB/s, ` +
        `CPU a message: sender ${ours.toFixed(2)} us, receiver ${theirs.toFixed(2)} us`,
    );
  }
  child.kill();
  await side.network.close();
  process.exit();
}

async function measurePauses(name: string, ask: () => Promise<unknown>): Promise<void> {
  const times: number[] = [];
  for (let turn = 0; turn < PAUSES; turn += 1) {
    const startMs = performance.now();
    await ask();
    times.push((performance.now() - startMs) * 500);
  }
  times.sort((left, right) => left - right);
  report(`one way, ${name}`, `p50 ${at(times, 0.5)} us, p99 ${at(times, 0.99)} us`);
}

function at(times: readonly number[], part: number): string {
  return (times[Math.floor(times.length * part)] ?? 0).toFixed(0);
}

function report(name: string, text: string): void {
  process.stdout.write(`${name}: ${text}\n`);
}

const [, , role, port = ""] = process.argv;
await (role === "echo" ? echo(port) : main());
