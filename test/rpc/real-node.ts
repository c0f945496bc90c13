import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { SILENT_LOGGER } from "../../src/base/log.ts";
import { Node } from "../../src/cluster/node.ts";
import { NodeFileSystem } from "../../src/platform/node-file-system.ts";
import { isAlive, processIdentity } from "../../src/platform/process-identity.ts";
import { SystemClock } from "../../src/platform/system-clock.ts";
import { SystemRandom } from "../../src/platform/system-random.ts";
import { TEST_CORE } from "../support/raft-core.ts";
import { startApi } from "./api.ts";

async function openNode(root: string): Promise<Node> {
  return Node.open({
    fs: new NodeFileSystem(root),
    clock: new SystemClock(),
    random: new SystemRandom(),
    logger: SILENT_LOGGER,
    core: TEST_CORE,
    identity: processIdentity(),
    isAlive,
    settings: { journalFileBytes: 4 * 2 ** 20 },
    onFailure: (error) => {
      throw error;
    },
  });
}

/** The API over a real node in a folder of its own. */
export async function startNode(t: TestContext) {
  const root = mkdtempSync(join(tmpdir(), "proglog-rpc-"));
  let node = await openNode(root);
  let { port } = await startApi(t, { topics: node.topics });
  t.after(async () => {
    await node.close();
    rmSync(root, { recursive: true });
  });
  return {
    get port() {
      return port;
    },
    async restart() {
      await node.close();
      node = await openNode(root);
      ({ port } = await startApi(t, { topics: node.topics }));
    },
  };
}
