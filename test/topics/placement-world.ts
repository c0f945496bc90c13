import assert from "node:assert/strict";
import fc from "fast-check";
import type { ProposedCatalogueCommand } from "../../src/topics/catalogue-commands.ts";
import { CatalogueState } from "../../src/topics/catalogue-state.ts";
import { type PlaceProposal, planChanges, planTopic } from "../../src/topics/placement.ts";
import { type ClusterLayout, layoutOf } from "../../src/topics/placement-model.ts";
import { serverOf } from "./catalogue-arbitrary.ts";

/** What happens to a cluster while nobody plans, or somebody does. */
export type Event =
  | { readonly kind: "join"; readonly zone: string }
  | { readonly kind: "state"; readonly at: number; readonly isDraining: boolean }
  | { readonly kind: "up"; readonly at: number; readonly isUp: boolean }
  | { readonly kind: "topic"; readonly factor: number }
  | { readonly kind: "target"; readonly at: number; readonly factor: number }
  | { readonly kind: "settle" };

export const zones = fc.constantFrom("", "", "a", "b", "c");
const at = fc.nat({ max: 20 });
const factor = fc.integer({ min: 1, max: 7 });

export const events = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constant("join" as const), zone: zones }),
    fc.record({ kind: fc.constant("state" as const), at, isDraining: fc.boolean() }),
    fc.record({ kind: fc.constant("up" as const), at, isUp: fc.boolean() }),
    fc.record({ kind: fc.constant("topic" as const), factor }),
    fc.record({ kind: fc.constant("target" as const), at, factor }),
    fc.constant({ kind: "settle" as const }),
  ),
  { maxLength: 40, size: "max" },
);

/** A cluster in its catalogue alone: what is planned is applied, and its groups follow at once. */
export class PlacementWorld {
  readonly state = new CatalogueState();
  readonly down = new Set<string>();
  readonly leaders = new Map<number, string>();
  #serverCount = 0;

  constructor() {
    const server = serverOf(this.#nextId());
    this.apply({ kind: "found", clusterId: "c1", server });
  }

  apply(command: ProposedCatalogueCommand) {
    return this.state.apply({ ...command, clockUs: 0 });
  }

  layout(): ClusterLayout {
    const isUp = (nodeId: string) => !this.down.has(nodeId);
    const leaderOf = (topicId: number) => this.leaders.get(topicId);
    return layoutOf(this.state, { replicationFactor: 3, isUp, leaderOf });
  }

  join(zone = ""): void {
    this.apply({ kind: "addServer", server: serverOf(this.#nextId(), { zone }) });
  }

  #nextId(): string {
    this.#serverCount += 1;
    return `n${`${this.#serverCount}`.padStart(2, "0")}`;
  }

  create(replicationFactor: number): void {
    const places = planTopic(this.layout(), replicationFactor);
    const name = `t${this.state.nextTopicId}`;
    const settings = { replicationFactor };
    const create = { kind: "create", name, topicCountMax: 1_000, settings, places } as const;
    const outcome = this.apply(create);
    assert.equal(outcome.kind, "created");
  }

  happen(event: Event): void {
    const members = this.state.members();
    const entries = this.state.entries();
    switch (event.kind) {
      case "join":
        this.join(event.zone);
        break;
      case "topic":
        this.create(event.factor);
        break;
      case "settle":
        this.settle();
        break;
      case "state": {
        const { nodeId } = members[event.at % members.length] ?? assert.fail();
        const state = event.isDraining ? "draining" : "active";
        this.apply({ kind: "updateServer", nodeId, state });
        break;
      }
      case "up": {
        const { nodeId } = members[event.at % members.length] ?? assert.fail();
        if (event.isUp) this.down.delete(nodeId);
        else this.down.add(nodeId);
        break;
      }
      case "target": {
        const topic = entries[event.at % Math.max(1, entries.length)];
        if (topic === undefined) break;
        this.apply({ kind: "target", topicId: topic.id, replicationFactor: event.factor });
        break;
      }
    }
  }

  /** Carries out what is planned until nothing is; that must not take long. */
  settle(): void {
    this.carryOut(planChanges(this.layout()));
    assert.deepEqual(planChanges(this.layout()), [], "the plan is not at its end");
  }

  /** Applies proposals, and lets go what is to leave. */
  carryOut(proposals: readonly PlaceProposal[]): void {
    for (const proposal of proposals) {
      assert.equal(this.apply({ kind: "place", ...proposal }).kind, "placed");
      const { topicId } = proposal;
      const { leaving = [], placementVersion = 0 } = this.state.group(topicId) ?? {};
      for (const { replicaId } of leaving) {
        this.apply({ kind: "left", topicId, placementVersion, replicaId });
      }
    }
  }

  zoneOf(nodeId: string): string {
    const zone = this.state.member(nodeId)?.zone ?? "";
    return zone === "" ? nodeId : zone;
  }

  /** Replicas of topics on each active node. */
  loads(): number[] {
    const active = this.state.members().filter(({ state }) => state === "active");
    return active.map(({ nodeId }) => {
      const held = this.state.entries().flatMap(({ replicas }) => replicas);
      return held.filter((place) => place.nodeId === nodeId).length;
    });
  }
}

export function spreadOf(counts: readonly number[]): number {
  return counts.length === 0 ? 0 : Math.max(...counts) - Math.min(...counts);
}
