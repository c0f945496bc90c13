import { setTimeout as pause } from "node:timers/promises";
import { type ConsumedRecord, ReadConsistency } from "../../src/gen/proglog/v1/record_pb.ts";
import type { History } from "./checker-history.ts";
import { idOf } from "./checker-records.ts";
import type { Targets } from "./checker-targets.ts";
import type { ClusterNode } from "./cluster-node.ts";

const RETRY_MS = 50;
const READ_MS_MAX = 10_000;
/** Longest silence of a tail: two heartbeats. */
const SILENCE_MS_MAX = 5_000;

export interface ReaderOptions {
  readonly history: History;
  readonly targets: Targets;
  readonly isStopped: () => boolean;
}

/** Reads a topic at one server as records come, over and over. Its place is in `places`. */
export async function runTail(
  options: ReaderOptions,
  node: ClusterNode,
  topic: string,
  places: Map<string, number>,
): Promise<void> {
  const { history, targets } = options;
  const name = `${node.name} ${topic}`;
  while (!options.isStopped()) {
    const end = new AbortController();
    let lastMs = performance.now();
    const watch = setInterval(() => {
      if (options.isStopped() || performance.now() - lastMs > SILENCE_MS_MAX) end.abort();
    }, 500);
    try {
      const request = {
        ...{ topic, consistency: ReadConsistency.COMMITTED },
        start: { case: "offset", value: BigInt(places.get(name) ?? 0) } as const,
        heartbeatInterval: { seconds: 1n, nanos: 0 },
      };
      const stream = targets.clientsOf(node).log.consumeStream(request, { signal: end.signal });
      for await (const { records } of stream) {
        lastMs = performance.now();
        takeAll(history, { node, topic, next: places.get(name) ?? 0 }, records);
        places.set(name, (places.get(name) ?? 0) + records.length);
      }
    } catch {
      // It goes on where it was.
    } finally {
      clearInterval(watch);
    }
    await pause(RETRY_MS);
  }
}

/** A server's answer from `next` on: checked for gaps and content, and compared with what others saw. */
function takeAll(
  history: History,
  place: { readonly node: ClusterNode; readonly topic: string; readonly next: number },
  records: readonly ConsumedRecord[],
): void {
  const { node, topic } = place;
  let { next } = place;
  for (const record of records) {
    const offset = Number(record.offset);
    if (offset !== next) history.violate(`${topic}: ${node.name} skips from ${next} to ${offset}`);
    const id = idOf(record);
    if (id === undefined) {
      history.violate(`${topic}: ${node.name} returns damaged content at ${offset}`);
    } else {
      const appendTime = Number(record.appendTimeUnixUs);
      history.see(topic, { server: node.name, offset }, { id, appendTime });
    }
    next = offset + 1;
  }
}

/** Asks for the end of topics, at any server: it must be behind all that was acknowledged before. */
export async function runEndReader(options: ReaderOptions, paceMs: number): Promise<void> {
  const { history, targets } = options;
  for (let turn = 0; !options.isStopped(); turn += 1) {
    const topic = history.topics[turn % history.topics.length] ?? "";
    const floor = history.floorOf(topic);
    try {
      const answer = await targets.clients.topics.getTopic(
        { topic, consistency: ReadConsistency.LINEARIZABLE },
        { timeoutMs: READ_MS_MAX },
      );
      const end = Number(answer.status?.nextOffset ?? 0);
      if (end < floor) {
        history.violate(`${topic}: its end was read as ${end} when ${floor} was acknowledged`);
      }
    } catch {
      // No answer is no wrong answer.
    }
    await targets.next();
    await pause(paceMs);
  }
}

/**
 * Reads a whole topic at one server, from the start to `end`.
 *
 * @throws when it has not so much after `msMax`
 */
export async function readWhole(
  options: ReaderOptions,
  node: ClusterNode,
  topic: string,
  limits: { readonly end: number; readonly msMax: number },
): Promise<void> {
  const { end, msMax } = limits;
  let next = 0;
  let giveUpAt = performance.now() + msMax;
  let why = "";
  while (next < end) {
    try {
      const { records } = await options.targets.clientsOf(node).log.consume(
        {
          ...{ topic, consistency: ReadConsistency.COMMITTED, maxRecords: 10_000 },
          start: { case: "offset", value: BigInt(next) },
        },
        { timeoutMs: READ_MS_MAX },
      );
      takeAll(options.history, { node, topic, next }, records);
      next += records.length;
      if (records.length > 0) giveUpAt = performance.now() + msMax;
    } catch (error) {
      why = `${error}`;
    }
    if (performance.now() > giveUpAt) {
      throw new Error(`${node.name} has ${next} of ${end} records of ${topic}: ${why}`);
    }
    if (next < end) await pause(RETRY_MS);
  }
}
