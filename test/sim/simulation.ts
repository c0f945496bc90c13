import type { Logger } from "../../src/base/log.ts";
import type { NodeNetwork } from "../../src/cluster/node-network.ts";
import { crc32 } from "../../src/platform/crc32.ts";
import type { RaftCore } from "../../src/raft/core.ts";
import { makeRandom } from "../support/prng.ts";
import { SimClock } from "../support/sim-clock.ts";
import { SimNetwork } from "../support/sim-network.ts";
import type { SimPort } from "../support/sim-port.ts";
import { Chaos } from "./chaos.ts";
import { Client } from "./client.ts";
import { SeenContent } from "./content.ts";
import { Ending } from "./ending.ts";
import { GroupViews } from "./group-views.ts";
import { observe } from "./historian.ts";
import { History } from "./history.ts";
import { Machine } from "./machine.ts";
import { Operator } from "./operator.ts";
import type { Ways } from "./routed.ts";
import type { Scenario } from "./scenario.ts";
import type { OpenServer, ServerParts } from "./server.ts";
import { Trace } from "./trace.ts";
import { Violations } from "./violation.ts";
import { witnessCore } from "./witness.ts";
import type { KnownTopic, World } from "./world.ts";

/** Calm before and after, and recovery; a run that takes longer hangs. */
const CALM_MS_MAX = 600_000;
const FORMING_MS_MAX = 60_000;
const STEP_MS = 50;

export interface SimulationOptions {
  readonly scenario: Scenario;
  readonly openServer: OpenServer;
  /** Raft itself, one for all machines of the run. */
  readonly core: RaftCore;
  /** Breaks a rule for each server, to see that it is found. */
  readonly mutate?: ((parts: ServerParts) => ServerParts) | undefined;
  /** File for the trace. */
  readonly tracePath?: string;
  readonly logger?: (machine: string) => Logger;
}

export interface RunResult {
  /** Empty when all was well. */
  readonly violations: readonly string[];
  /** Of everything that happened. */
  readonly digest: string;
  /** For `checkLinearizable`. */
  readonly history: readonly string[];
  readonly summary: Readonly<Record<string, number>>;
}

/** Runs a cluster, its clients and its faults from a seed to the end, on this thread, in simulated time. */
export async function simulate(options: SimulationOptions): Promise<RunResult> {
  const simulation = new Simulation(options);
  return await simulation.run();
}

class Simulation implements World {
  readonly history: History;
  readonly seen: SeenContent;
  readonly violations: Violations;
  readonly machines: readonly Machine[];
  readonly topics: KnownTopic[] = [];
  readonly ways: Ways;
  readonly #options: SimulationOptions;
  readonly #clock = new SimClock();
  readonly #trace: Trace;
  readonly #views: GroupViews;
  readonly #network: SimNetwork;
  readonly #chaos: Chaos;
  readonly #operator: Operator;
  #batches = 0;
  #isStopping = false;

  constructor(options: SimulationOptions) {
    this.#options = options;
    const { scenario } = options;
    const now = () => this.#clock.monotonicMs();
    this.violations = new Violations(now);
    this.history = new History(now);
    this.seen = new SeenContent(this.violations);
    this.#trace = new Trace(options.tracePath);
    this.#views = new GroupViews(this.violations);
    const trace = (line: string) => this.#trace.add(line);
    this.#network = new SimNetwork({ clock: this.#clock, random: this.#stream(1), trace });
    const schedule = (delayMs: number, work: () => void) => this.#clock.schedule(delayMs, work);
    this.ways = {
      lifeAt: (port) => this.machines.find(({ life }) => life?.port === port)?.life,
      wait: (ms) => new Promise((resolve) => schedule(ms, resolve)),
      nowMs: now,
      schedule,
    };
    const count = scenario.machines + scenario.spares;
    this.machines = Array.from({ length: count }, (_, at) => this.#machine(at, trace));
    this.#operator = new Operator(this, scenario, this.#stream(2));
    this.#chaos = new Chaos({
      scenario,
      network: this.#network,
      machines: this.machines,
      random: this.#stream(3),
      schedule,
      trace,
    });
  }

  get isStopping(): boolean {
    return this.#isStopping;
  }

  get wasDiskFaulty(): boolean {
    const { counts } = this.#chaos;
    return counts.has("disk-full") || counts.has("disk-error");
  }

  nextBatch(): number {
    this.#batches += 1;
    return this.#batches;
  }

  async run(): Promise<RunResult> {
    let isDone = false;
    const living = this.#live().then(
      () => {
        isDone = true;
      },
      (error) => {
        isDone = true;
        this.violations.report(error instanceof Error ? (error.stack ?? "") : String(error));
      },
    );
    const endMs = this.#options.scenario.chaosMs + CALM_MS_MAX;
    while (!isDone && this.#clock.monotonicMs() < endMs) await this.#clock.advance(STEP_MS);
    if (isDone) await living;
    else this.violations.report("The run hangs");
    for (const machine of this.machines) machine.kill();
    return this.#result();
  }

  async #live(): Promise<void> {
    if (!(await this.#form())) return;
    const { scenario } = this.#options;
    const clients = Array.from({ length: scenario.clients }, (_, at) =>
      new Client(`c${at + 1}`, this, this.#stream(100 + at)).run(),
    );
    const busy = [...clients, this.#operator.run(), observe(this, this.#stream(4))];
    this.#chaos.begin();
    await this.ways.wait(scenario.chaosMs);
    this.#trace.add("heals");
    this.#isStopping = true;
    this.#chaos.heal();
    await Promise.all(busy);
    await new Ending(this, this.#views).check();
  }

  /** @returns false when there is no cluster to break */
  async #form(): Promise<boolean> {
    const { scenario } = this.#options;
    const founders = this.machines.slice(0, scenario.machines);
    for (const machine of founders) machine.start();
    const endMs = this.#clock.monotonicMs() + FORMING_MS_MAX;
    while (founders.some(({ server }) => server === undefined) || this.topics.length === 0) {
      if (this.#clock.monotonicMs() >= endMs) {
        const missing = founders.filter(({ server }) => server === undefined);
        this.violations.report(
          `No cluster was formed: ${missing.map(({ name }) => name)} are missing`,
        );
        return false;
      }
      await this.ways.wait(100);
      if (founders.every(({ server }) => server !== undefined)) await this.#createTopics();
    }
    return true;
  }

  async #createTopics(): Promise<void> {
    for (let number = 1; number <= this.#options.scenario.topics; number += 1) {
      const name = `t${number}`;
      if (this.topics.some((topic) => topic.name === name)) continue;
      if ((await this.#operator.create(name)) === undefined) return;
    }
  }

  #machine(at: number, trace: (line: string) => void): Machine {
    const { scenario, openServer, core, mutate, logger } = this.#options;
    const seeds = Array.from({ length: scenario.machines }, (_, number) => `n${number + 1}:7420`);
    const isTogether = scenario.isFoundedTogether && at < scenario.machines;
    return new Machine({
      name: `n${at + 1}`,
      seed: scenario.seed * 1_000 + at * 2,
      clock: this.#clock,
      network: this.#network,
      violations: this.violations,
      makeCore: () => witnessCore(core, this.#views),
      openServer: (parts) => openServer(mutate?.(parts) ?? parts),
      networkOf: (port) => this.#watched(port),
      join: isTogether ? seeds : at === 0 ? [] : seeds.filter((_, number) => number !== at),
      bootstrapExpect: isTogether ? seeds.length : 0,
      trace,
      ...(logger === undefined ? {} : { logger }),
    });
  }

  /** A machine's network, whose messages are looked at. */
  #watched(port: SimPort): NodeNetwork {
    return {
      transport: {
        send: (nodeId, envelope) => {
          this.#views.sent(envelope);
          return port.transport.send(nodeId, envelope);
        },
      },
      peers: port.peers,
      attach: (node) => port.attach(node),
      isDisowned: () => false,
      isUp: (nodeId) => port.isUp(nodeId),
      clockOffsetUs: (nodeId) => port.clockOffsetUs(nodeId),
      close: () => port.close(),
    };
  }

  /** Randomness for one purpose, so that a change of one thing does not change all others. */
  #stream(number: number): () => number {
    return makeRandom(this.#options.scenario.seed * 65_537 + number);
  }

  #result(): RunResult {
    const outcomes = { ok: 0, none: 0, unknown: 0 };
    for (const { completion } of this.history.operations) {
      outcomes[completion?.outcome ?? "unknown"] += 1;
    }
    const lines = this.history.lines();
    for (const line of lines) this.#trace.add(line);
    for (const machine of this.machines) this.#traceDisk(machine);
    return {
      violations: this.violations.found,
      digest: this.#trace.digest(),
      history: lines,
      summary: {
        simulatedMs: Math.round(this.#clock.monotonicMs()),
        ...outcomes,
        ...this.#views.counts,
        lives: this.machines.reduce((total, { lives }) => total + lives, 0),
        faults: sum(this.#chaos.counts),
        changes: sum(this.#operator.counts),
      },
    };
  }

  #traceDisk({ name, disk }: Machine): void {
    for (const [path, content] of disk.dump()) {
      this.#trace.add(`${name} ${path} ${content.length} ${crc32(content)}`);
    }
  }
}

function sum(counts: ReadonlyMap<unknown, number>): number {
  let total = 0;
  for (const count of counts.values()) total += count;
  return total;
}
