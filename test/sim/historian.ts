import { ProglogError } from "../../src/base/errors.ts";
import { SimCrash } from "../support/sim-faults.ts";
import { parseRecord, readRange } from "./content.ts";
import { isRunning, type Machine } from "./machine.ts";
import type { KnownTopic, World } from "./world.ts";

const PAUSE_MS = 150;

/**
 * Reads everything that is committed at some machine or other, so that in the end it is known what every offset
 * held, also of records that were trimmed: nothing may be trimmed that was not seen.
 */
export async function observe(world: World, random: () => number): Promise<void> {
  while (!world.isStopping) {
    const running = world.machines.filter(isRunning);
    for (const topic of world.topics) {
      const machine = running[Math.floor(random() * running.length)];
      if (machine !== undefined && !topic.isDeleted) await see(world, topic, machine);
    }
    await world.ways.wait(PAUSE_MS);
  }
}

async function see(world: World, topic: KnownTopic, machine: Machine): Promise<void> {
  const { life } = machine;
  try {
    const handle = life?.server?.topics.topic(topic.name, topic.id);
    if (handle === undefined || life === undefined) return;
    const { firstOffset, nextOffset } = handle.status();
    const from = Math.max(firstOffset, topic.seenEnd);
    const reading = readRange(handle, { from, end: nextOffset, recordsMax: 50 });
    const records = await Promise.race([reading, life.over.then(() => [])]);
    for (const { offset, body } of records) {
      world.seen.note(topic.key, offset, parseRecord(body).id, `${machine.name}, as it is,`);
      if (offset === topic.seenEnd) topic.seenEnd += 1;
    }
  } catch (error) {
    // Not there now, or not here: others see it.
    if (!(error instanceof ProglogError) && !(error instanceof SimCrash)) throw error;
    if (error instanceof ProglogError && error.reason === "STORE_CORRUPT") throw error;
  }
}
