import type { CatalogueCommand } from "../../src/topics/catalogue-commands.ts";
import type { WantedPlace } from "../../src/topics/group-placement.ts";
import { serverOf } from "./catalogue-arbitrary.ts";

/**
 * Reads a command as golden files have it: its kind, then a name or id, then pairs.
 *
 *     found CLUSTER server=n1
 *     addServer n2 [address=A] [zone=Z] [version=V] [level=N] [nonce=HEX]
 *     updateServer n2 [state=draining] [zone=Z]
 *     removeServer n2 [force=1]
 *     create NAME [clock=N] [max=N] [settings=JSON] [places=n1,n2:learner]
 *     delete NAME [id=N]
 *     target ID factor=N
 *     place ID version=N places=n1,n2
 *     left ID version=N replica=N
 *     replace ID version=N replica=N
 */
export function parseCommand(line: string): CatalogueCommand {
  const [kind = "", first = "", ...words] = line.split(" ");
  const pairs = new Map(words.map((word) => word.split("=") as [string, string]));
  const number = (key: string, fallback = 0) => Number(pairs.get(key) ?? fallback);
  const clockUs = number("clock");
  const topicId = Number(first);
  const placementVersion = number("version", 1);
  const places = placesIn(pairs.get("places") ?? "n1");
  switch (kind) {
    case "found":
      return { kind, clockUs, clusterId: first, server: serverOf(pairs.get("server") ?? "n1") };
    case "addServer":
      return { kind, clockUs, server: serverIn(first, pairs) };
    case "updateServer": {
      const state = pairs.get("state") as "active" | "draining" | undefined;
      return { kind, clockUs, nodeId: first, state, zone: pairs.get("zone") };
    }
    case "removeServer":
      return { kind, clockUs, nodeId: first, force: pairs.has("force") };
    case "create": {
      const settings = JSON.parse(pairs.get("settings") ?? "{}");
      return { kind, clockUs, name: first, topicCountMax: number("max", 9), settings, places };
    }
    case "delete":
      return { kind, clockUs, name: first, topicId: number("id") };
    case "target":
      return { kind, clockUs, topicId, replicationFactor: number("factor") };
    case "place":
      return { kind, clockUs, topicId, placementVersion, places };
    case "left":
    case "replace":
      return { kind, clockUs, topicId, placementVersion, replicaId: number("replica") };
    default:
      throw new Error(`No command "${kind}"`);
  }
}

function serverIn(nodeId: string, pairs: ReadonlyMap<string, string>) {
  const base = serverOf(nodeId);
  return {
    ...base,
    address: pairs.get("address") ?? base.address,
    zone: pairs.get("zone") ?? base.zone,
    version: pairs.get("version") ?? base.version,
    featureLevel: Number(pairs.get("level") ?? base.featureLevel),
    folderNonce: pairs.get("nonce") ?? base.folderNonce,
  };
}

function placesIn(text: string): WantedPlace[] {
  return text
    .split(",")
    .filter((part) => part !== "")
    .map((part) => {
      const [nodeId = "", role] = part.split(":");
      return { nodeId, role: role === "learner" ? "learner" : "voter" };
    });
}
