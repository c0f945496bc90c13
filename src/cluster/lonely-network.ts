import { ProglogError } from "../base/errors.ts";
import type { NodeNetwork } from "./node-network.ts";

/** The network of a node that has none: nobody can be reached. For a folder that is opened without a server. */
export function lonelyNetwork(): NodeNetwork {
  return {
    transport: { send: () => false },
    peers: {
      join: (address) => unreachable(address),
      promiseGenesis: (address) => unreachable(address),
      invite: (address) => unreachable(address),
      propose: (nodeId) => unreachable(nodeId),
      async *copyRange(nodeId) {
        yield await unreachable(nodeId);
      },
    },
    attach() {},
    isUp: () => undefined,
    isDisowned: () => false,
    clockOffsetUs: () => undefined,
    async close() {},
  };
}

async function unreachable(whom: string): Promise<never> {
  throw new ProglogError("SERVER_UNREACHABLE", `Cannot reach ${whom}: this server has no network`);
}
