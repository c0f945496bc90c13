import { Node } from "../../src/cluster/node.ts";
import { SMALL } from "../cluster/harness.ts";
import type { ServerParts, SimulatedServer } from "./server.ts";

/** The real thing: a node, as the server of this program opens it. */
export async function openNode(parts: ServerParts): Promise<SimulatedServer> {
  const { fs, clock, random, logger, core, network, onFailure } = parts;
  const node = await Node.open({
    ...{ fs, clock, random, logger, core, network, onFailure },
    settings: SMALL,
    cluster: parts.cluster,
    identity: { bootId: "boot", pid: parts.pid, startTime: `${parts.pid}` },
    isAlive: () => false,
  });
  return {
    topics: node.topics,
    cluster: node.cluster,
    close: async () => {
      await node.handOver();
      await node.close();
    },
  };
}
