import { test } from "node:test";
import { messageType } from "../../src/raft/core-messages.ts";
import { WasmCore } from "../../src/raft/wasm-core.ts";
import { loadRaftModule } from "../../src/server/raft-module.ts";
import { bytesOf, write } from "../suites/raft-core-replication.ts";
import { runGolden } from "../support/golden.ts";
import { CoreCluster } from "./core-cluster.ts";
import { seededWorld } from "./core-world.ts";

test("messages between cores are what the golden file says, byte by byte", async () => {
  const module = await loadRaftModule();
  await runGolden(new URL("testdata/core-messages.txt", import.meta.url), {
    "first-of-each-type": () => firstOfEachType(WasmCore.create(module, seededWorld(1))),
  });
});

function firstOfEachType(core: WasmCore): string {
  const cluster = new CoreCluster(core, [1, 2, 3]);
  const seen = new Map<number, string>();
  cluster.filter = (message) => {
    const type = messageType(message);
    if (!seen.has(type)) seen.set(type, inFields(message));
    return true;
  };
  cluster.elect(1);
  write(cluster, 1, "ab");
  cluster.group(2).readIndex(bytesOf("why"));
  cluster.tick(2);
  cluster.isolate(3);
  write(cluster, 1, "cd");
  cluster.replica(1).compact();
  cluster.heal();
  cluster.tick(2);
  cluster.group(1).transferLeader(2);
  cluster.settle();
  const types = [...seen].sort(([left], [right]) => left - right);
  return types.map(([, fields]) => fields).join("\n");
}

/** Hexadecimal, with a gap after each number of the head. */
function inFields(message: Uint8Array): string {
  const ends = [1, 2, 10, 18, 26, 34, 42, 50, 58, 62, message.length];
  const parts = ends.map((end, at) => message.subarray(ends[at - 1] ?? 0, end));
  return parts
    .map((part) => Buffer.from(part).toString("hex"))
    .join(" ")
    .trim();
}
