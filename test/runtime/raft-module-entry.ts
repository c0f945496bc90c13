/** Elects a leader of one, and says so. What raft-module.test.ts runs in every way that there is. */
import { EMPTY_BYTES } from "../../src/base/bytes.ts";
import { CoreRole } from "../../src/raft/core.ts";
import { WasmCore } from "../../src/raft/wasm-core.ts";
import { loadRaftModule } from "../../src/server/raft-module.ts";

async function elect(): Promise<void> {
  const core = WasmCore.create(await loadRaftModule(), {
    random: (bytes) => {
      crypto.getRandomValues(bytes);
    },
    monotonicNs: () => process.hrtime.bigint(),
  });
  const group = core.open({
    ...{ replicaId: 1, electionTicks: 10, heartbeatTicks: 1, appliedIndex: 1 },
    hardState: { term: 1, vote: 0, commit: 1 },
    conf: { voters: [1], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false },
    log: {
      firstIndex: () => 2,
      lastIndex: () => 1,
      termAt: (index) => (index === 1 ? 1 : undefined),
      entries: () => [],
      snapshot: () => ({ index: 1, term: 1, conf: group.status().conf, data: EMPTY_BYTES }),
    },
    ...{ inflightMessagesMax: 64, messageBytesMax: 4096 },
  });
  group.campaign();
  while (group.hasReady) {
    const ready = group.ready();
    // The leader's first entry is not in the log that never changes.
    if ((ready?.entries.length ?? 0) > 0) break;
    group.jobDone(ready?.appendJob ?? 0);
  }
  process.stdout.write(group.status().role === CoreRole.leader ? "leader" : "nothing");
}

void elect();
