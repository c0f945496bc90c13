import { readFile } from "node:fs/promises";

/**
 * Loads and compiles the Raft core's module: 9 MB, about 0.1 s on another thread, so that the
 * server can do other things meanwhile.
 */
export async function loadRaftModule(): Promise<WebAssembly.Module> {
  return WebAssembly.compile(await readFile(await modulePath()));
}

/**
 * In the compiled executable only an import says where the file lies, and only Bun knows that kind
 * of import.
 */
async function modulePath(): Promise<string | URL> {
  if (process.versions["bun"] === undefined) {
    return new URL("../raft/wasm/raft.wasm", import.meta.url);
  }
  const { default: path } = await import("../raft/wasm/raft.wasm", { with: { type: "file" } });
  return path;
}
