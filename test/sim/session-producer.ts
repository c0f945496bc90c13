import { hasReason } from "../../src/base/errors.ts";
import type { Acknowledgement, ProduceBatch } from "../../src/topics/topics.ts";
import { integerFrom } from "../support/prng.ts";
import { type ClientCalls, handleOf } from "./client-calls.ts";
import { recordsOfBatch } from "./content.ts";
import type { Machine } from "./machine.ts";
import { checkRefusal } from "./refusals.ts";
import { outcomeOf } from "./routed.ts";
import { type SentBatch, Sessions } from "./sessions.ts";
import type { KnownTopic } from "./world.ts";

/** A client's producers, which may send a batch again and have it appended once. */
export class SessionProducer {
  readonly #calls: ClientCalls;
  readonly #sessions = new Sessions();

  constructor(calls: ClientCalls) {
    this.#calls = calls;
  }

  /** With a producer: what had no answer is sent again, as the same operation, until it has one. */
  async produce(machine: Machine, topic: KnownTopic): Promise<void> {
    const epoch = await this.#openSession(machine, topic);
    const session = this.#sessions.of(topic.key);
    if (epoch === undefined || session === undefined) return;
    const old = session.answered[integerFrom(this.#calls.random, 0, 20)];
    if (old !== undefined && session.open === undefined) {
      await this.#resend(machine, topic, old);
      return;
    }
    const batch = session.open?.batch ?? this.#calls.newBatch();
    const operation =
      session.open?.operation ?? this.#calls.invoke(machine, topic, { op: "produce", ...batch });
    const isRetry = session.open !== undefined;
    session.open = { batch, operation };
    const producer = { id: this.#calls.id, epoch, sequence: session.sequence };
    try {
      const ack = await this.#send(machine, topic, batch, producer);
      session.open = undefined;
      this.#calls.acknowledged(operation, topic, batch, ack);
      this.#calls.world.violations.expect(
        isRetry || !ack.duplicate,
        () => `batch ${batch.batch} of ${topic.key} is a duplicate, and was sent once`,
      );
      session.answered.unshift({ ...batch, sequence: session.sequence, first: ack.firstOffset });
      session.answered.length = Math.min(session.answered.length, 10);
      session.sequence += 1;
    } catch (error) {
      checkRefusal(this.#calls.world, topic, error, ["PRODUCER_FENCED"]);
      const isGone = hasReason(error, "PRODUCER_FENCED");
      if (isGone) this.#sessions.forget(topic.key);
      // A refusal says nothing of an earlier try.
      if (!isGone && (isRetry || outcomeOf(error) === "unknown")) return;
      session.open = undefined;
      this.#calls.refused(operation, topic, error, ["PRODUCER_FENCED"], isRetry);
    }
  }

  async #resend(
    machine: Machine,
    topic: KnownTopic,
    old: SentBatch & { readonly sequence: number; readonly first: number },
  ): Promise<void> {
    const session = this.#sessions.of(topic.key);
    if (session === undefined) return;
    const { batch, count, sequence } = old;
    const operation = this.#calls.invoke(machine, topic, { op: "resend", batch, count });
    try {
      const producer = { id: this.#calls.id, epoch: session.epoch, sequence };
      const ack = await this.#send(machine, topic, old, producer);
      this.#calls.world.violations.expect(
        ack.duplicate && ack.firstOffset === old.first,
        () =>
          `batch ${batch} of ${topic.key} at ${old.first}, sent again, is at ${ack.firstOffset}`,
      );
      this.#calls.world.history.complete(operation, { outcome: "ok", first: ack.firstOffset });
    } catch (error) {
      this.#calls.refused(operation, topic, error, ["PRODUCER_FENCED"]);
    }
  }

  #send(
    machine: Machine,
    topic: KnownTopic,
    { batch, count }: SentBatch,
    producer: NonNullable<ProduceBatch["producer"]>,
  ): Promise<Acknowledgement> {
    const records = recordsOfBatch(batch, count);
    return this.#calls.call(machine, topic, (server, caller) =>
      handleOf(server, topic).produce({ records, producer }, { caller }),
    );
  }

  /** @returns the epoch, or undefined when there is none to be had now */
  async #openSession(machine: Machine, topic: KnownTopic): Promise<number | undefined> {
    const known = this.#sessions.of(topic.key);
    if (known !== undefined) return known.epoch;
    try {
      const { epoch } = await this.#calls.call(machine, topic, (server, caller) =>
        handleOf(server, topic).openProducer(this.#calls.id, { caller }),
      );
      this.#calls.world.violations.expect(
        this.#sessions.opened(topic.key, epoch),
        () => `producer ${this.#calls.id} of ${topic.key} gets epoch ${epoch} again`,
      );
      return epoch;
    } catch (error) {
      checkRefusal(this.#calls.world, topic, error, []);
      return undefined;
    }
  }
}
