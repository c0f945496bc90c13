import type { CoreEntry } from "../../../src/raft/core.ts";
import { CoreWriter } from "../../../src/raft/core-codec.ts";
import { WasmGroup } from "../../../src/raft/wasm-group.ts";
import type { CoreLogLevel } from "../../../src/raft/wasm-host.ts";
import {
  type WasmExports,
  type WasmFunction,
  WasmInstance,
} from "../../../src/raft/wasm-instance.ts";
import { SeededRandom } from "../../support/prng.ts";
import type { MemoryLog } from "../memory-log.ts";

/** What `wasm/interaction.go` exports beside the product's. */
interface TestExports extends WasmExports {
  readonly test_open: WasmFunction;
  readonly test_ready: WasmFunction;
  readonly test_step_response: WasmFunction;
  readonly test_step: WasmFunction;
  readonly test_advance: WasmFunction;
  readonly test_describe: WasmFunction;
  readonly test_describe_entries: WasmFunction;
  readonly test_progress: WasmFunction;
  readonly test_propose_conf_change: WasmFunction;
  readonly test_forget_leader: WasmFunction;
  readonly test_set_election_timeout: WasmFunction;
}

/** Configuration as `wasm/interaction.go` reads it. */
export interface TestConfig {
  ID: number;
  Applied: number;
  ElectionTick: number;
  HeartbeatTick: number;
  MaxInflightMsgs: number;
  MaxCommittedSizePerReady: number;
  AsyncStorageWrites: boolean;
  PreVote: boolean;
  CheckQuorum: boolean;
  DisableConfChangeValidation: boolean;
  StepDownOnRemoval: boolean;
  IsLeaseBased: boolean;
  Voters: readonly number[];
  Learners: readonly number[];
  HardTerm: number;
  HardCommit: number;
}

export interface TestResponse {
  readonly Text: string;
  readonly To: number;
  readonly From: number;
  /** For the replica itself; -1: it is bytes for another one. */
  readonly Number: number;
  /** Base64. */
  readonly Bytes: string | null;
}

export interface TestWork {
  readonly IsAppend: boolean;
  readonly Text: string;
  readonly Responses: readonly TestResponse[] | null;
}

export interface TestReady {
  readonly Text: string;
  /** As the product gives it; base64. */
  readonly Ready: string;
  readonly Work: readonly TestWork[] | null;
}

/** The core with the hooks of `wasm/interaction.go`. */
export class TestCore {
  readonly #instance: WasmInstance;
  readonly #exports: TestExports;
  readonly #writer = new CoreWriter();

  constructor(module: WebAssembly.Module, log: (line: string, level: CoreLogLevel) => void) {
    const random = new SeededRandom(1);
    this.#instance = new WasmInstance(module, {
      random: (bytes) => bytes.set(random.bytes(bytes.length)),
      monotonicNs: () => 1n,
      log,
      logLevel: "debug",
    });
    this.#exports = this.#instance.exports as TestExports;
  }

  open(config: TestConfig, log: MemoryLog): WasmGroup {
    const handle = this.#instance.call(this.#exports.next_handle);
    this.#instance.host.add(handle, log);
    const code = this.#instance.call(this.#exports.test_open, this.#json(config));
    if (code !== 0) throw new Error(this.#instance.resultText());
    return new WasmGroup(this.#instance, this.#writer, handle, false);
  }

  ready(group: WasmGroup): TestReady {
    return JSON.parse(this.#call(this.#exports.test_ready, group)) as TestReady;
  }

  advance(group: WasmGroup): void {
    this.#call(this.#exports.test_advance, group);
  }

  /** @returns the library's error; empty when there is none */
  step(group: WasmGroup, message: Uint8Array): string {
    return this.#call(this.#exports.test_step, group, this.#instance.input(message));
  }

  stepResponse(group: WasmGroup, number: number): void {
    this.#call(this.#exports.test_step_response, group, number);
  }

  describe(message: Uint8Array): string {
    this.#instance.call(this.#exports.test_describe, this.#instance.input(message));
    return this.#instance.resultText();
  }

  describeEntries(entries: readonly CoreEntry[]): string {
    const { bytes } = this.#writer
      .reset()
      .u64(entries[0]?.index ?? 0)
      .entries(entries);
    this.#instance.call(this.#exports.test_describe_entries, this.#instance.input(bytes));
    return this.#instance.resultText();
  }

  progress(group: WasmGroup): string {
    return this.#call(this.#exports.test_progress, group);
  }

  /** @returns the library's error; empty when there is none */
  proposeConfChange(
    group: WasmGroup,
    change: { readonly IsV1: boolean; readonly Transition: number; readonly Changes: string },
  ): string {
    return this.#call(this.#exports.test_propose_conf_change, group, this.#json(change));
  }

  /** The library's own, which does nothing on a leader. */
  forgetLeader(group: WasmGroup): void {
    this.#call(this.#exports.test_forget_leader, group);
  }

  setElectionTimeout(group: WasmGroup, ticks: number): void {
    this.#call(this.#exports.test_set_election_timeout, group, ticks);
  }

  #json(value: object): number {
    return this.#instance.input(new TextEncoder().encode(JSON.stringify(value)));
  }

  #call(operation: WasmFunction, group: WasmGroup, argument = 0): string {
    const code = this.#instance.call(operation, group.handle, argument);
    const text = this.#instance.resultText();
    const cause = this.#instance.host.takeError(group.handle);
    if (cause !== undefined) throw cause;
    if (code >> 1 === 1) return "raft proposal dropped";
    if (code >> 1 !== 0) throw new Error(`status ${code >> 1}: ${text}`);
    return text;
  }
}
