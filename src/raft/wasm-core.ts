import { assert } from "../base/assert.ts";
import type { CoreGroup, CoreGroupConfig, RaftCore } from "./core.ts";
import { CoreRefusedError } from "./core.ts";
import { CoreWriter } from "./core-codec.ts";
import { CORE_APPEND_BYTES_MAX, CORE_MEMBERS_MAX } from "./core-limits.ts";
import { WasmGroup } from "./wasm-group.ts";
import { CallStatus, type WasmCoreOptions, WasmInstance } from "./wasm-instance.ts";

/**
 * etcd's Raft in WebAssembly: all groups of a node in one instance.
 *
 * Its memory never shrinks, and its garbage collection grows with the groups: some thousand groups
 * are what one is good for. Do not throw out of `random` and `monotonicNs`.
 */
export class WasmCore implements RaftCore {
  readonly #instance: WasmInstance;
  readonly #writer = new CoreWriter();

  private constructor(instance: WasmInstance) {
    this.#instance = instance;
  }

  /**
   * @param module the bytes of `wasm/raft.wasm`, compiled; may be shared
   * @throws {CoreTrappedError} when it cannot start
   */
  static create(module: WebAssembly.Module, options: WasmCoreOptions): WasmCore {
    return new WasmCore(new WasmInstance(module, options));
  }

  /** @throws {CoreRefusedError} when the library refuses the configuration, or the log with it */
  open(config: CoreGroupConfig): CoreGroup {
    checkConfig(config);
    const { host, exports } = this.#instance;
    const handle = this.#instance.call(exports.next_handle);
    host.add(handle, config.log);
    let isOpen = false;
    try {
      const size = this.#instance.input(this.#configBytes(config));
      const code = this.#instance.call(exports.open, size);
      if (code >> 1 === CallStatus.refused) {
        throw new CoreRefusedError(`Cannot open a group: ${this.#instance.resultText()}`);
      }
      const cause = host.takeError(handle);
      if (cause !== undefined) {
        this.#instance.call(exports.close_group, handle);
        throw new CoreRefusedError("Cannot open a group: its log failed", { cause });
      }
      isOpen = true;
      return new WasmGroup(this.#instance, this.#writer, handle, (code & 1) === 1);
    } finally {
      if (!isOpen) host.delete(handle);
    }
  }

  /**
   * Also tells of groups that failed: their `ready` throws. All groups must be of this core, and open.
   */
  tickAll(groups: Iterable<CoreGroup>): readonly CoreGroup[] {
    const ticked: WasmGroup[] = [];
    const writer = this.#writer.reset();
    for (const group of groups) {
      assert(group instanceof WasmGroup, "A group of another core cannot be ticked");
      ticked.push(group);
      writer.u32(group.handle);
    }
    this.#instance.call(this.#instance.exports.tick_all, this.#instance.input(writer.bytes));
    const codes = this.#instance.result();
    for (const [at, group] of ticked.entries()) group.ticked(codes[at] ?? 0);
    return ticked.filter((group) => group.hasReady);
  }

  /** Bytes of memory that the core takes. */
  get memoryBytes(): number {
    return this.#instance.memoryBytes;
  }

  #configBytes(config: CoreGroupConfig): Uint8Array {
    return this.#writer
      .reset()
      .u64(config.replicaId)
      .u64(config.appliedIndex)
      .u32(config.electionTicks)
      .u32(config.heartbeatTicks)
      .u32(config.inflightMessagesMax)
      .u32(config.messageBytesMax)
      .hardState(config.hardState)
      .confState(config.conf).bytes;
  }
}

function checkConfig({ messageBytesMax, conf }: CoreGroupConfig): void {
  if (messageBytesMax > CORE_APPEND_BYTES_MAX) {
    throw new CoreRefusedError(
      `Cannot open a group with append messages of ${messageBytesMax} bytes, at most ${CORE_APPEND_BYTES_MAX} are allowed`,
    );
  }
  const lists = [conf.voters, conf.learners, conf.votersOutgoing, conf.learnersNext];
  const members = Math.max(...lists.map((list) => list.length));
  if (members > CORE_MEMBERS_MAX) {
    throw new CoreRefusedError(
      `Cannot open a group of ${members} replicas, at most ${CORE_MEMBERS_MAX} are allowed`,
    );
  }
}
