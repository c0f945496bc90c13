import { ProglogError } from "../../src/base/errors.ts";
import type { Acknowledgement, Topic } from "../../src/topics/topics.ts";
import { integerFrom } from "../support/prng.ts";
import type { Invocation, Operation } from "./history.ts";
import type { Machine } from "./machine.ts";
import { checkRefusal } from "./refusals.ts";
import { outcomeOf, type RoutedWork, routed } from "./routed.ts";
import type { SimulatedServer } from "./server.ts";
import type { SentBatch } from "./sessions.ts";
import type { KnownTopic, World } from "./world.ts";

const BATCH_RECORDS_MAX = 4;
const DEADLINE_MS_MIN = 500;
const DEADLINE_MS_MAX = 6_000;

/** How a client calls servers, and writes down what comes of it. */
export class ClientCalls {
  readonly id: string;
  readonly world: World;
  readonly random: () => number;
  /** Of topics: where they end, as far as the client knows. */
  readonly ends = new Map<string, number>();

  constructor(id: string, world: World, random: () => number) {
    this.id = id;
    this.world = world;
    this.random = random;
  }

  call<T>(
    machine: Machine,
    { name: topic }: KnownTopic,
    work: RoutedWork<T>,
    { isWrite = true, isLocal = false } = {},
  ): Promise<T> {
    const deadlineMs = integerFrom(this.random, DEADLINE_MS_MIN, DEADLINE_MS_MAX);
    return routed(this.world.ways, { machine, topic, deadlineMs, isWrite, isLocal }, work);
  }

  invoke(
    { name: node }: Machine,
    { key: topic }: KnownTopic,
    what: Omit<Invocation, "client" | "node" | "topic">,
  ): Operation {
    return this.world.history.invoke({ client: this.id, node, topic, ...what });
  }

  refused(
    operation: Operation,
    topic: KnownTopic,
    error: unknown,
    allowed: readonly string[],
    isUnknown = false,
  ): void {
    checkRefusal(this.world, topic, error, allowed);
    const outcome = isUnknown ? "unknown" : outcomeOf(error);
    const reason = error instanceof ProglogError ? error.reason : "INTERNAL";
    this.world.history.complete(operation, { outcome, reason });
  }

  newBatch(): SentBatch {
    return {
      batch: this.world.nextBatch(),
      count: integerFrom(this.random, 1, BATCH_RECORDS_MAX),
    };
  }

  acknowledged(
    operation: Operation,
    topic: KnownTopic,
    { batch, count }: SentBatch,
    ack: Acknowledgement,
  ): void {
    const { firstOffset: first, lastOffset } = ack;
    this.world.violations.expect(
      lastOffset - first + 1 === count,
      () => `batch ${batch} of ${count} is at ${first} to ${lastOffset} of ${topic.key}`,
    );
    for (let place = 0; place < count; place += 1) {
      this.world.seen.note(topic.key, first + place, [batch, place], "an acknowledgement");
    }
    this.ends.set(topic.key, lastOffset + 1);
    this.world.history.complete(operation, { outcome: "ok", first });
  }
}

/** A server's handle of the topic; rejects, so that a caller has one way of failing only. */
export function handleOf(server: SimulatedServer, { name, id }: KnownTopic): Topic {
  return server.topics.topic(name, id);
}
