import { hasReason } from "../../src/base/errors.ts";
import { CLUSTER_TOPIC_NAME } from "../../src/topics/names.ts";
import { integerFrom } from "../support/prng.ts";
import { isRunning, type Machine } from "./machine.ts";
import { checkRefusal } from "./refusals.ts";
import { type RoutedWork, routed } from "./routed.ts";
import type { Change, Scenario } from "./scenario.ts";
import { type KnownTopic, knownTopic, type World } from "./world.ts";

const DEADLINE_MS = 8_000;
/** Names of topics that come and go. */
const NAMES = ["x1", "x2", "x3"];
/** Members that a cluster is left with at least. */
const MEMBERS_MIN = 3;

/** What operators may be told when they ask for what is not so any more, or not yet. */
const STALE = [
  "SERVER_NOT_FOUND",
  "SERVER_HAS_REPLICAS",
  "SERVER_REMOVED",
  "QUORUM_AT_RISK",
  "NOT_A_VOTER",
  "REPLICA_EXISTS",
  "REPLICA_MISSING",
  "PLACEMENT_STALE",
  "CONF_CHANGE_PENDING",
  "TOPIC_EXISTS",
  "TOPIC_NOT_FOUND",
  "TOPIC_REPLACED",
  // To a server that drains.
  "FIELD_INVALID",
];

/** Changes the cluster and its topics while things go wrong. */
export class Operator {
  readonly #world: World;
  readonly #scenario: Scenario;
  readonly #random: () => number;
  /** Being emptied, to be removed. */
  #leaving: Machine | undefined;
  readonly counts = new Map<Change, number>();

  constructor(world: World, scenario: Scenario, random: () => number) {
    this.#world = world;
    this.#scenario = scenario;
    this.#random = random;
  }

  async run(): Promise<void> {
    const { changes, changeMsMax } = this.#scenario;
    while (changes.length > 0 && !this.#world.isStopping) {
      await this.#world.ways.wait(integerFrom(this.#random, 300, changeMsMax));
      const change = this.#pick(changes);
      if (change === undefined || this.#world.isStopping) continue;
      if (await this.#make(change)) this.counts.set(change, (this.counts.get(change) ?? 0) + 1);
      await this.#removeLeaving();
    }
  }

  /** Makes a topic, at the latest when somebody leads. @returns undefined when nobody knows whether it is there */
  async create(name: string): Promise<KnownTopic | undefined> {
    const info = await this.#ask(CLUSTER_TOPIC_NAME, undefined, (server) =>
      server.topics.create(name, {}),
    );
    if (info === undefined) return undefined;
    const known = knownTopic(name, info.id);
    this.#world.violations.expect(
      !this.#world.topics.some(({ id }) => id === info.id),
      () => `topic id ${info.id} was given twice`,
    );
    this.#world.topics.push(known);
    return known;
  }

  /** @returns true when it was done */
  async #make(change: Change): Promise<boolean> {
    switch (change) {
      case "transfer":
        return await this.#transfer();
      case "move":
        return await this.#move();
      case "grow":
        return this.#grow();
      case "shrink":
        return await this.#shrink();
      case "rebalance":
        return (
          (await this.#catalogue((s, c) => s.cluster.rebalance(false, { caller: c }))) !== undefined
        );
      case "create-topic":
        return (await this.create(this.#pick(NAMES) ?? "")) !== undefined;
      case "delete-topic":
        return await this.#delete();
    }
  }

  async #transfer(): Promise<boolean> {
    const topic = this.#random() < 0.3 ? undefined : this.#anyTopic();
    const target = this.#random() < 0.3 ? "" : (this.#anyMember()?.server?.cluster.nodeId ?? "");
    const name = topic?.name ?? CLUSTER_TOPIC_NAME;
    const place = await this.#ask(name, topic, (server, caller) =>
      server.cluster.transferLeadership(name, target, { caller }),
    );
    return place !== undefined;
  }

  async #move(): Promise<boolean> {
    const topic = this.#anyTopic();
    const source = this.#anyMember()?.server?.cluster.nodeId;
    const target = this.#anyMember()?.server?.cluster.nodeId;
    if (topic === undefined || source === undefined || target === undefined) return false;
    if (source === target) return false;
    const move = { topic: topic.name, sourceNodeId: source, targetNodeId: target };
    const done = await this.#catalogue(async (server, caller) => {
      await server.cluster.moveReplica(move, { caller });
      return true;
    }, topic);
    return done === true;
  }

  /** A machine that was not there yet asks to join. */
  #grow(): boolean {
    const spare = this.#world.machines.find(({ lives }) => lives === 0);
    spare?.start();
    return spare !== undefined;
  }

  async #shrink(): Promise<boolean> {
    const members = this.#world.machines.filter(({ lives, isRetired }) => lives > 0 && !isRetired);
    if (this.#leaving !== undefined || members.length <= MEMBERS_MIN) return false;
    const leaving = this.#pick(members.filter(isRunning));
    const nodeId = leaving?.server?.cluster.nodeId;
    if (leaving === undefined || nodeId === undefined) return false;
    const done = await this.#catalogue((server, caller) =>
      server.cluster.updateServer(nodeId, { state: "draining" }, { caller }),
    );
    if (done !== undefined) this.#leaving = leaving;
    return done !== undefined;
  }

  async #removeLeaving(): Promise<void> {
    const leaving = this.#leaving;
    const nodeId = leaving?.nodeId;
    if (leaving === undefined || nodeId === undefined) return;
    const done = await this.#catalogue(async (server, caller) => {
      leaving.isRemovalAsked = true;
      const removal = server.cluster.removeServer(nodeId, false, { caller });
      await removal.catch(unlessGone);
      return true;
    });
    if (done !== true) return;
    this.#leaving = undefined;
    leaving.isRetired = true;
    leaving.kill();
  }

  async #delete(): Promise<boolean> {
    const topic = this.#pick(
      this.#world.topics.filter(({ name, isDeleted }) => NAMES.includes(name) && !isDeleted),
    );
    if (topic === undefined) return false;
    topic.isDeleteAsked = true;
    const done = await this.#catalogue(async (server) => {
      await server.topics.delete(topic.name, topic.id);
      return true;
    }, topic);
    topic.isDeleted = done === true;
    return done === true;
  }

  #catalogue<T>(work: RoutedWork<T>, topic?: KnownTopic): Promise<T | undefined> {
    return this.#ask(CLUSTER_TOPIC_NAME, topic, work);
  }

  /** @returns undefined when it was refused, or nobody knows */
  async #ask<T>(
    routeBy: string,
    topic: KnownTopic | undefined,
    work: RoutedWork<T>,
  ): Promise<T | undefined> {
    const machine = this.#pick(this.#world.machines.filter(isRunning));
    if (machine === undefined) return undefined;
    try {
      const call = { machine, topic: routeBy, deadlineMs: DEADLINE_MS, isWrite: true };
      return await routed(this.#world.ways, call, work);
    } catch (error) {
      checkRefusal(this.#world, topic, error, STALE);
      return undefined;
    }
  }

  #anyTopic(): KnownTopic | undefined {
    return this.#pick(this.#world.topics.filter(({ isDeleteAsked }) => !isDeleteAsked));
  }

  #anyMember(): Machine | undefined {
    return this.#pick(this.#world.machines.filter(isRunning));
  }

  #pick<T>(list: readonly T[]): T | undefined {
    return list[Math.floor(this.#random() * list.length)];
  }
}

/** An earlier try without an answer has removed it. */
function unlessGone(error: unknown): void {
  if (!hasReason(error, "SERVER_NOT_FOUND") && !hasReason(error, "SERVER_REMOVED")) throw error;
}
