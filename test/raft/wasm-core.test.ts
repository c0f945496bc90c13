import { WasmCore } from "../../src/raft/wasm-core.ts";
import { loadRaftModule } from "../../src/server/raft-module.ts";
import { raftCoreSuite } from "../suites/raft-core-suite.ts";
import { seededWorld } from "./core-world.ts";

const module = await loadRaftModule();

raftCoreSuite({
  name: "etcd's Raft in WebAssembly",
  make: () => WasmCore.create(module, seededWorld(1)),
});
