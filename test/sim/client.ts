import type { ProduceBatch } from "../../src/topics/topics.ts";
import { integerFrom } from "../support/prng.ts";
import { ClientCalls, handleOf } from "./client-calls.ts";
import { parseRecord, type RecordId, readRange, recordsOfBatch } from "./content.ts";
import { isRunning, type Machine } from "./machine.ts";
import { checkRefusal } from "./refusals.ts";
import type { RoutedWork } from "./routed.ts";
import { SessionProducer } from "./session-producer.ts";
import type { SentBatch } from "./sessions.ts";
import type { KnownTopic, World } from "./world.ts";

const BURST_MAX = 6;
/** Records that a read goes back from the end. */
const READ_BACK_MAX = 30;
const PAUSE_MS_MAX = 60;

/** One client: does one thing after the other (or several at once) at some server, and writes down what it was told. */
export class Client {
  readonly #calls: ClientCalls;
  readonly #producer: SessionProducer;
  readonly #world: World;
  readonly #random: () => number;

  constructor(id: string, world: World, random: () => number) {
    this.#calls = new ClientCalls(id, world, random);
    this.#producer = new SessionProducer(this.#calls);
    this.#world = world;
    this.#random = random;
  }

  async run(): Promise<void> {
    while (!this.#world.isStopping) {
      await this.#act();
      await this.#world.ways.wait(this.#random() * PAUSE_MS_MAX);
    }
  }

  /** Appends one batch. @returns whether it was acknowledged */
  async append(machine: Machine, topic: KnownTopic): Promise<boolean> {
    return await this.#produce(machine, topic, this.#calls.newBatch(), {});
  }

  async #act(): Promise<void> {
    const machine = pick(this.#world.machines.filter(isRunning), this.#random);
    const topic = pick(
      this.#world.topics.filter((known) => !known.isDeleted),
      this.#random,
    );
    if (machine === undefined || topic === undefined) return;
    const dice = this.#random();
    if (dice < 0.2) await this.#produceOne(machine, topic);
    else if (dice < 0.35) await this.#burst(machine, topic);
    else if (dice < 0.5) await this.#produceExpected(machine, topic);
    else if (dice < 0.7) await this.#producer.produce(machine, topic);
    else if (dice < 0.82) await this.#read(machine, topic);
    else if (dice < 0.9) await this.end(machine, topic);
    else if (dice < 0.92) await this.#trim(machine, topic);
    else await this.#look(machine, topic);
  }

  async #produceOne(machine: Machine, topic: KnownTopic): Promise<void> {
    await this.#produce(machine, topic, this.#calls.newBatch(), {});
  }

  /** Several at once: those that are acknowledged stand in the order in which they were sent. */
  async #burst(machine: Machine, topic: KnownTopic): Promise<void> {
    const count = integerFrom(this.#random, 2, BURST_MAX);
    const sends = Array.from({ length: count }, () =>
      this.#produce(machine, topic, this.#calls.newBatch(), {}),
    );
    await Promise.all(sends);
  }

  async #produceExpected(machine: Machine, topic: KnownTopic): Promise<void> {
    const known = this.#calls.ends.get(topic.key);
    const expectedNextOffset =
      known === undefined || this.#random() < 0.4 ? await this.end(machine, topic) : known;
    if (expectedNextOffset === undefined) return;
    await this.#produce(machine, topic, this.#calls.newBatch(), { expectedNextOffset });
  }

  async #produce(
    machine: Machine,
    topic: KnownTopic,
    batch: SentBatch,
    conditions: Pick<ProduceBatch, "expectedNextOffset">,
  ): Promise<boolean> {
    const expected = conditions.expectedNextOffset;
    const operation = this.#calls.invoke(machine, topic, { op: "produce", ...batch, expected });
    try {
      const records = recordsOfBatch(batch.batch, batch.count);
      const ack = await this.#calls.call(machine, topic, (server, caller) =>
        handleOf(server, topic).produce({ records, ...conditions }, { caller }),
      );
      this.#calls.acknowledged(operation, topic, batch, ack);
      this.#world.violations.expect(
        !ack.duplicate,
        () => `batch ${batch.batch} of ${topic.key} is a duplicate, and was sent once`,
      );
      return true;
    } catch (error) {
      this.#calls.refused(operation, topic, error, ["OFFSET_MISMATCH"]);
      return false;
    }
  }

  /** Where the topic is led, or at the client's own server when that has a replica. */
  async #read(machine: Machine, topic: KnownTopic): Promise<void> {
    const operation = this.#calls.invoke(machine, topic, { op: "read" });
    const back = integerFrom(this.#random, 0, READ_BACK_MAX);
    try {
      const result = await this.#anywhere(machine, topic, async (server, caller) => {
        const handle = handleOf(server, topic);
        await handle.confirm({ caller });
        const { firstOffset: start, nextOffset: next } = handle.status();
        const from = Math.max(start, next - back);
        const records = await readRange(handle, { from, end: next, recordsMax: 7 });
        return { from, start, next, records };
      });
      const { from, start, next } = result;
      const records: RecordId[] = [];
      for (const { offset, body } of result.records) {
        const { id } = parseRecord(body);
        this.#world.seen.note(topic.key, offset, id, `a read at ${machine.name}`);
        this.#world.violations.expect(
          offset === from + records.length,
          () => `${topic.key} has a gap at ${from + records.length}`,
        );
        records.push(id);
      }
      this.#world.history.complete(operation, { outcome: "ok", from, start, next, records });
    } catch (error) {
      // Records may be trimmed between the two steps.
      this.#calls.refused(operation, topic, error, ["OFFSET_OUT_OF_RANGE"], true);
    }
  }

  /** Asks where the topic ends. @returns the next offset, if it was told */
  async end(machine: Machine, topic: KnownTopic): Promise<number | undefined> {
    const operation = this.#calls.invoke(machine, topic, { op: "end" });
    try {
      const status = await this.#anywhere(machine, topic, async (server, caller) => {
        const handle = handleOf(server, topic);
        await handle.confirm({ caller });
        return handle.status();
      });
      const { firstOffset: start, nextOffset: next } = status;
      this.#world.history.complete(operation, { outcome: "ok", start, next });
      this.#calls.ends.set(topic.key, next);
      return next;
    } catch (error) {
      this.#calls.refused(operation, topic, error, []);
      return undefined;
    }
  }

  async #trim(machine: Machine, topic: KnownTopic): Promise<void> {
    const before = integerFrom(this.#random, 0, topic.seenEnd);
    const operation = this.#calls.invoke(machine, topic, { op: "trim", before });
    try {
      const { firstOffset: start } = await this.#calls.call(machine, topic, (server, caller) =>
        handleOf(server, topic).trim(before, { caller }),
      );
      this.#world.history.complete(operation, { outcome: "ok", start });
    } catch (error) {
      this.#calls.refused(operation, topic, error, []);
    }
  }

  /** Reads what is committed at any server, be it old: it must be what others have seen there. */
  async #look(machine: Machine, topic: KnownTopic): Promise<void> {
    const { server, life } = machine;
    if (server === undefined) return;
    try {
      const handle = handleOf(server, topic);
      const { firstOffset, nextOffset } = handle.status();
      const from = integerFrom(this.#random, firstOffset, nextOffset);
      const range = { from, end: nextOffset, recordsMax: 10 };
      for (const { offset, body } of await readRange(handle, range)) {
        this.#world.seen.note(
          topic.key,
          offset,
          parseRecord(body).id,
          `${machine.name}, as it is,`,
        );
      }
    } catch (error) {
      if (life?.isOver === true) return;
      checkRefusal(this.#world, topic, error, ["OFFSET_OUT_OF_RANGE", "TOPIC_NOT_FOUND"]);
    }
  }

  #anywhere<T>(machine: Machine, topic: KnownTopic, work: RoutedWork<T>): Promise<T> {
    const isHere = machine.server?.cluster.routeTopic(topic.name, "replica").kind === "here";
    const isLocal = isHere && this.#random() < 0.5;
    return this.#calls.call(machine, topic, work, { isWrite: false, isLocal });
  }
}

function pick<T>(list: readonly T[], random: () => number): T | undefined {
  return list[Math.floor(random() * list.length)];
}
