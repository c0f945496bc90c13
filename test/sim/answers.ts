import type { RecordId } from "./content.ts";
import type { KnownTopic, World } from "./world.ts";

/**
 * What clients were told, against all records that ever were in a topic (its own numbers): acknowledged batches
 * are there once, where they were told to be; those that were refused for certain are not.
 */
export function checkAnswers(
  world: Pick<World, "history" | "violations">,
  topic: Pick<KnownTopic, "key">,
  all: readonly RecordId[],
): void {
  const firsts = new Map<number, number>();
  for (const [offset, [batch, place]] of all.entries()) {
    const first = offset - place;
    const known = firsts.get(batch);
    world.violations.expect(
      known === undefined || known === first,
      () => `batch ${batch} is in ${topic.key} twice: at ${known} and ${first}`,
    );
    firsts.set(batch, first);
  }
  const sent = new Set<number>();
  for (const operation of world.history.operations) {
    const { op, batch = -1, completion } = operation;
    if (op !== "produce" || operation.topic !== topic.key) continue;
    sent.add(batch);
    const first = firsts.get(batch);
    if (completion?.outcome === "ok") {
      world.violations.expect(
        first === completion.first,
        () =>
          `batch ${batch} was acknowledged at ${completion.first} of ${topic.key}, is at ${first}`,
      );
    } else if (completion?.outcome === "none") {
      world.violations.expect(
        first === undefined,
        () => `batch ${batch} was refused (${completion.reason}), is at ${first} of ${topic.key}`,
      );
    }
  }
  for (const batch of firsts.keys()) {
    world.violations.expect(sent.has(batch), () => `nobody sent batch ${batch} to ${topic.key}`);
  }
}
