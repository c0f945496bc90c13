import fc from "fast-check";
import type { CatalogueCommand } from "../../src/topics/catalogue-commands.ts";
import type { WantedPlace } from "../../src/topics/group-placement.ts";
import type { ServerInfo } from "../../src/topics/members.ts";
import type { TopicSettings } from "../../src/topics/topics.ts";

/** What random commands are made of. */
export interface CommandParts {
  readonly number: fc.Arbitrary<number>;
  readonly name: fc.Arbitrary<string>;
  readonly nodeId: fc.Arbitrary<string>;
  readonly text: fc.Arbitrary<string>;
  readonly topicId: fc.Arbitrary<number>;
  readonly topicCountMax: fc.Arbitrary<number>;
  readonly replicaId: fc.Arbitrary<number>;
  readonly version: fc.Arbitrary<number>;
  readonly factor: fc.Arbitrary<number>;
  readonly settings: fc.Arbitrary<TopicSettings>;
}

export function serverOf(nodeId: string, fields: Partial<ServerInfo> = {}): ServerInfo {
  return {
    ...{ nodeId, address: `${nodeId}:8400`, zone: "", version: "1.0.0", featureLevel: 1 },
    folderNonce: "ab",
    ...fields,
  };
}

export function placesOf(...nodeIds: readonly string[]): WantedPlace[] {
  return nodeIds.map((nodeId) => ({ nodeId, role: "voter" }));
}

/** Random commands of every kind. */
export function commandsOf(parts: CommandParts): fc.Arbitrary<CatalogueCommand> {
  const { number, name, nodeId, text, topicId, replicaId, version, factor, settings } = parts;
  const clockUs = number;
  const role = fc.constantFrom("voter" as const, "voter" as const, "learner" as const);
  const places = fc.array(fc.record({ nodeId, role }), { maxLength: 4 });
  const server: fc.Arbitrary<ServerInfo> = fc.record({
    nodeId,
    address: text,
    zone: text,
    version: text,
    featureLevel: number,
    folderNonce: fc.constantFrom("aa", "aa", "aa", "bb"),
  });
  const state = fc.constantFrom("active" as const, "draining" as const);
  const force = fc.boolean();
  const { topicCountMax } = parts;
  const optional = { nil: undefined };
  return fc.oneof(
    fc.record({ kind: fc.constant("found" as const), clockUs, clusterId: nodeId, server }),
    fc.record({ kind: fc.constant("addServer" as const), clockUs, server }),
    fc.record({
      kind: fc.constant("updateServer" as const),
      clockUs,
      nodeId,
      state: fc.option(state, optional),
      zone: fc.option(text, optional),
    }),
    fc.record({ kind: fc.constant("removeServer" as const), clockUs, nodeId, force }),
    fc.record({
      kind: fc.constant("create" as const),
      clockUs,
      ...{ name, topicCountMax, settings, places },
    }),
    fc.record({ kind: fc.constant("delete" as const), clockUs, name, topicId }),
    fc.record({
      kind: fc.constant("target" as const),
      clockUs,
      topicId,
      replicationFactor: factor,
    }),
    fc.record({
      kind: fc.constant("place" as const),
      clockUs,
      topicId,
      placementVersion: version,
      places,
    }),
    fc.record({
      kind: fc.constantFrom("left" as const, "replace" as const),
      clockUs,
      topicId,
      placementVersion: version,
      replicaId,
    }),
  );
}
