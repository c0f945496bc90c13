import { CLUSTER_TOPIC_NAME } from "../../src/topics/names.ts";
import type { Topic } from "../../src/topics/topics.ts";
import { checkAnswers } from "./answers.ts";
import { Client } from "./client.ts";
import { parseRecord, type RecordId, readRange } from "./content.ts";
import type { GroupViews } from "./group-views.ts";
import { isRunning, type Machine } from "./machine.ts";
import { routed } from "./routed.ts";
import type { KnownTopic, World } from "./world.ts";

/** Within that, everything works again once nothing goes wrong any more, in simulated milliseconds. */
const RECOVERY_MS_MAX = 60_000;

const STEP_MS = 200;

/** One replica as it is now. */
interface Replica {
  readonly machine: Machine;
  readonly handle: Topic;
}

/** Asks again until it is so, or the time is over. @returns whether it is */
async function waitUntil(world: World, isSo: () => boolean | Promise<boolean>): Promise<boolean> {
  const endMs = world.ways.nowMs() + RECOVERY_MS_MAX;
  while (!(await isSo())) {
    if (world.ways.nowMs() >= endMs) return false;
    await world.ways.wait(STEP_MS);
  }
  return true;
}

/*
 * What must be so when all is healed. Whatever is not is reported.
 */

/** Every machine serves again. */
async function checkServing(world: World): Promise<void> {
  const members = () => world.machines.filter(({ lives, isRetired }) => lives > 0 && !isRetired);
  const isSo = () => {
    for (const machine of members()) machine.start();
    return members().every(isRunning);
  };
  if (await waitUntil(world, isSo)) return;
  const down = members().filter((machine) => !isRunning(machine));
  world.violations.report(`does not serve after all was healed: ${down.map(({ name }) => name)}`);
}

/** All replicas of a topic that its catalogue names end at one offset, on machines that run. */
async function checkEqualEnds(world: World, topic: KnownTopic): Promise<readonly Replica[]> {
  let replicas: readonly Replica[] = [];
  let seen = "";
  const isSo = () => {
    const found = replicasOf(world, topic);
    replicas = found ?? [];
    if (found === undefined || found.length === 0) return false;
    const ends = found.map(({ machine, handle }) => {
      const { firstOffset, nextOffset } = handle.status();
      return { name: machine.name, text: `${firstOffset} to ${nextOffset}` };
    });
    seen = ends.map(({ name, text }) => `${name} ${text}`).join(", ");
    return ends.every(({ text }) => text === ends[0]?.text);
  };
  if (await waitUntil(world, isSo)) return replicas;
  world.violations.report(`replicas of ${topic.key} do not become equal: ${seen || "none found"}`);
  return [];
}

/** Undefined while some replica is not to be found. */
function replicasOf(world: World, topic: KnownTopic): readonly Replica[] | undefined {
  const running = world.machines.filter(isRunning);
  const nodes = new Set<string>();
  for (const { server } of running) {
    const listed = server?.cluster.replicas({ topic: topic.name }) ?? [];
    for (const { nodeId, topicId } of listed) if (topicId === topic.id) nodes.add(nodeId);
  }
  const found: Replica[] = [];
  for (const nodeId of nodes) {
    const machine = running.find((one) => one.nodeId === nodeId);
    const handle = machine === undefined ? undefined : handleAt(machine, topic);
    if (machine === undefined || handle === undefined) return undefined;
    found.push({ machine, handle });
  }
  return found;
}

function handleAt({ server }: Machine, { name, id }: KnownTopic): Topic | undefined {
  try {
    const handle = server?.topics.topic(name, id);
    handle?.status();
    return handle;
  } catch {
    return undefined;
  }
}

/** All records of a replica: without gaps, each one of ours, batches whole. */
async function readReplica(
  world: World,
  topic: KnownTopic,
  { machine, handle }: Replica,
): Promise<readonly RecordId[]> {
  const { firstOffset, nextOffset } = handle.status();
  const range = { from: firstOffset, end: nextOffset, recordsMax: 50 };
  const place = `${machine.name} at the end`;
  const found: RecordId[] = [];
  let wanted: { readonly batch: number; readonly place: number } | undefined;
  let timeUs = 0;
  for (const record of await readRange(handle, range)) {
    const offset = firstOffset + found.length;
    const { id, count } = parseRecord(record.body);
    const [batch, at] = id;
    world.violations.expect(
      record.offset === offset,
      () => `${place}: ${topic.key} has offset ${record.offset} where ${offset} belongs`,
    );
    const isWhole = wanted === undefined ? at === 0 || offset === firstOffset : isAt(id, wanted);
    world.violations.expect(
      isWhole,
      () => `${place}: a batch of ${topic.key} is torn at ${offset}`,
    );
    world.violations.expect(
      record.appendTimeUs >= timeUs,
      () => `${place}: time goes back in ${topic.key} at ${offset}`,
    );
    timeUs = record.appendTimeUs;
    wanted = at + 1 < count ? { batch, place: at + 1 } : undefined;
    world.seen.note(topic.key, offset, id, place);
    found.push(id);
  }
  world.violations.expect(
    wanted === undefined && found.length === nextOffset - firstOffset,
    () => `${place}: ${topic.key} ends in a batch, or too early`,
  );
  return found;
}

function isAt(id: RecordId, wanted: { readonly batch: number; readonly place: number }): boolean {
  return id[0] === wanted.batch && id[1] === wanted.place;
}

/** Brings a run to its end: everything works again, nothing was lost, and all replicas are the same. */
export class Ending {
  readonly #world: World;
  readonly #views: GroupViews;

  constructor(world: World, views: GroupViews) {
    this.#world = world;
    this.#views = views;
  }

  async check(): Promise<void> {
    const world = this.#world;
    await checkServing(world);
    const topics = await this.#liveTopics();
    await this.#checkSameCatalogue();
    for (const topic of topics) await this.#checkAccepting(topic);
    const before = await this.#contents(topics);
    // Everything that was applied came from a log that is applied once more after a start.
    for (const machine of world.machines) machine.crash();
    await checkServing(world);
    const after = await this.#contents(topics);
    for (const topic of topics) this.#judge(topic, before.get(topic), after.get(topic));
    this.#views.checkMatching();
  }

  /** Those that the catalogue has; reports others that it should not have, or should. */
  async #liveTopics(): Promise<readonly KnownTopic[]> {
    const world = this.#world;
    let listed = new Map<string, number>();
    const isListed = async () => {
      const machine = world.machines.find(isRunning);
      if (machine === undefined) return false;
      const call = { machine, topic: CLUSTER_TOPIC_NAME, deadlineMs: 5_000, isWrite: false };
      return await routed(world.ways, call, async ({ topics, cluster }, caller) => {
        await cluster.confirmCatalogue({ caller });
        const page = topics.list({ limit: 1_000 });
        listed = new Map(page.topics.map(({ name, id }) => [name, id]));
        return true;
      }).catch(() => false);
    };
    if (!(await waitUntil(world, isListed))) world.violations.report("the catalogue has no leader");
    return world.topics.filter((topic) => {
      const isThere = listed.get(topic.name) === topic.id;
      world.violations.expect(
        isThere ? !topic.isDeleted : topic.isDeleteAsked,
        () => `topic ${topic.key} ${isThere ? "came back" : "is gone"}`,
      );
      return isThere;
    });
  }

  /** All members come to know the same topics and the same members. */
  async #checkSameCatalogue(): Promise<void> {
    const world = this.#world;
    let texts: readonly string[] = [];
    const isSame = () => {
      texts = world.machines.filter(isRunning).map(catalogueOf);
      return texts.every((text) => text === texts[0]);
    };
    if (await waitUntil(world, isSame)) return;
    world.violations.report(`catalogues do not become the same: ${texts.join("\n  ")}`);
  }

  /** Liveness: a batch sent to any server is appended. */
  async #checkAccepting(topic: KnownTopic): Promise<void> {
    const world = this.#world;
    for (const machine of world.machines.filter(isRunning)) {
      let isDone = false;
      const client = new Client(`last-${machine.name}`, world, () => 0.5);
      const isSo = async () => {
        isDone ||= await client.append(machine, topic);
        return isDone;
      };
      if (await waitUntil(world, isSo)) continue;
      world.violations.report(`${topic.key} takes nothing by ${machine.name} after all was healed`);
    }
  }

  async #contents(topics: readonly KnownTopic[]): Promise<Map<KnownTopic, Content>> {
    const contents = new Map<KnownTopic, Content>();
    for (const topic of topics) {
      await this.#confirmed(topic);
      for (const replica of await checkEqualEnds(this.#world, topic)) {
        const { firstOffset: start, nextOffset: next } = replica.handle.status();
        const records = await readReplica(this.#world, topic, replica);
        const known = contents.get(topic);
        if (known === undefined) contents.set(topic, { start, next, text: records.join(" ") });
        else this.#same(topic, known, { start, next, text: records.join(" ") }, "replicas");
      }
    }
    return contents;
  }

  /** After a start, replicas may have less than was acknowledged until somebody leads. */
  async #confirmed(topic: KnownTopic): Promise<void> {
    const world = this.#world;
    const isSo = async () => {
      const machine = world.machines.find(isRunning);
      const client = new Client("last", world, () => 0.5);
      return machine !== undefined && (await client.end(machine, topic)) !== undefined;
    };
    if (await waitUntil(world, isSo)) return;
    world.violations.report(`nobody says where ${topic.key} ends after all was healed`);
  }

  #judge(topic: KnownTopic, before: Content | undefined, after: Content | undefined): void {
    const world = this.#world;
    if (before === undefined || after === undefined) return;
    this.#same(topic, before, after, "before and after the last power cut the contents");
    const { start, next } = after;
    const all = world.seen.allOf(topic.key, next);
    checkAnswers(world, topic, all);
    world.history.final({ topic: topic.key, start, next, all });
  }

  #same(topic: KnownTopic, left: Content, right: Content, what: string): void {
    const isSame =
      left.start === right.start && left.next === right.next && left.text === right.text;
    this.#world.violations.expect(
      isSame,
      () =>
        `${what} of ${topic.key} differ: ${left.start} to ${left.next}, ${right.start} to ${right.next}`,
    );
  }
}

function catalogueOf({ server }: Machine): string {
  const { topics = [] } = server?.topics.list({ limit: 1_000 }) ?? {};
  const members = server?.cluster.members() ?? [];
  return JSON.stringify({
    topics: topics.map(({ name, id }) => `${name}#${id}`),
    members: members.map(({ nodeId, state }) => `${nodeId} ${state}`),
  });
}

interface Content {
  readonly start: number;
  readonly next: number;
  readonly text: string;
}
