import { assert } from "../base/assert.ts";
import type {
  ConfChange,
  ConfState,
  CoreGroup,
  CoreMessage,
  CoreReady,
  CoreStatus,
  CoreVerdict,
} from "./core.ts";
import { CoreGroupFailedError, CoreRefusedError } from "./core.ts";
import { CoreReader, type CoreWriter } from "./core-codec.ts";
import {
  CORE_ENTRY_BYTES_MAX,
  CORE_MEMBERS_MAX,
  CORE_MESSAGE_BYTES_MAX,
  CORE_MESSAGE_ENTRIES_MAX,
  CORE_READ_CONTEXT_BYTES_MAX,
} from "./core-limits.ts";
import { CallStatus, type WasmFunction, type WasmInstance } from "./wasm-instance.ts";
import { readReady, readStatus } from "./wasm-ready.ts";

/** Types of changes, as protobuf numbers them (raftpb.ConfChangeType). */
const CONF_CHANGE_TYPES = { "add-voter": 0, remove: 1, "add-learner": 3 } as const;

const NO_MESSAGES: readonly CoreMessage[] = [];

/** A group in the module. Made by `WasmCore.open`. */
export class WasmGroup implements CoreGroup {
  readonly #handle: number;
  readonly #instance: WasmInstance;
  readonly #writer: CoreWriter;
  #isReady: boolean;
  #isClosed = false;
  #failure: CoreGroupFailedError | undefined;

  /** @param writer shared by all groups of a core: it is used within one call */
  constructor(instance: WasmInstance, writer: CoreWriter, handle: number, isReady: boolean) {
    this.#instance = instance;
    this.#writer = writer;
    this.#handle = handle;
    this.#isReady = isReady;
  }

  /** Its place in the module: another group's once this one is closed. */
  get handle(): number {
    assert(!this.#isClosed, "A group was used after it was closed");
    return this.#handle;
  }

  get hasReady(): boolean {
    return this.#isReady;
  }

  tick(): void {
    this.#call(this.#instance.exports.tick);
  }

  /** `code` is what the module gave when it ticked this group with others. */
  ticked(code: number): void {
    if (this.#failure !== undefined) return;
    try {
      this.#outcome(code);
    } catch {
      // Kept: the next call throws it, and the owner is led there by `hasReady`.
    }
  }

  campaign(): void {
    this.#call(this.#instance.exports.campaign);
  }

  step(message: CoreMessage): CoreVerdict {
    if (message.length > CORE_MESSAGE_BYTES_MAX) return "ignored";
    const status = this.#call(this.#instance.exports.step, this.#instance.input(message));
    if (status === CallStatus.ok) return "ok";
    return status === CallStatus.dropped ? "dropped" : "ignored";
  }

  propose(data: readonly Uint8Array[]): CoreVerdict {
    checkMost("entries in one proposal", data.length, CORE_MESSAGE_ENTRIES_MAX);
    const writer = this.#writer.reset().u32(data.length);
    for (const bytes of data) {
      checkMost("bytes in an entry", bytes.length, CORE_ENTRY_BYTES_MAX);
      writer.sized(bytes);
    }
    return this.#ask(this.#instance.exports.propose, writer.bytes);
  }

  proposeConfChange(changes: readonly ConfChange[], context: Uint8Array): CoreVerdict {
    checkMost("changes at once", changes.length, CORE_MEMBERS_MAX);
    checkMost("bytes in a context", context.length, CORE_ENTRY_BYTES_MAX);
    const writer = this.#writer.reset().u32(changes.length);
    for (const change of changes) {
      writer.u8(CONF_CHANGE_TYPES[change.type]).u64(checkedId(change.replicaId));
    }
    return this.#ask(this.#instance.exports.propose_conf_change, writer.sized(context).bytes);
  }

  applyConfChange(type: number, data: Uint8Array): ConfState {
    const size = this.#instance.input(data);
    this.#call(this.#instance.exports.apply_conf_change, type, size);
    return this.#read((reader) => reader.confState());
  }

  ready(): CoreReady | undefined {
    this.#check();
    if (!this.#isReady) return undefined;
    this.#call(this.#instance.exports.ready);
    return this.#read(readReady);
  }

  jobDone(job: number): readonly CoreMessage[] {
    this.#call(this.#instance.exports.job_done, job);
    return this.#instance.hasResult ? this.#read((reader) => reader.list()) : NO_MESSAGES;
  }

  readIndex(context: Uint8Array): void {
    checkMost("bytes in a read request", context.length, CORE_READ_CONTEXT_BYTES_MAX);
    this.#ask(this.#instance.exports.read_index, context);
  }

  transferLeader(replicaId: number): void {
    this.#call(this.#instance.exports.transfer_leader, checkedId(replicaId));
  }

  forgetLeader(): void {
    this.#call(this.#instance.exports.forget_leader);
  }

  reportUnreachable(replicaId: number): void {
    this.#call(this.#instance.exports.report_unreachable, checkedId(replicaId));
  }

  reportSnapshot(replicaId: number, isDone: boolean): void {
    const id = checkedId(replicaId);
    this.#call(this.#instance.exports.report_snapshot, id, isDone ? 1 : 0);
  }

  status(): CoreStatus {
    this.#call(this.#instance.exports.status);
    return this.#read(readStatus);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#isReady = false;
    this.#instance.host.delete(this.#handle);
    this.#instance.call(this.#instance.exports.close_group, this.#handle);
  }

  #ask(operation: WasmFunction, input: Uint8Array): CoreVerdict {
    const status = this.#call(operation, this.#instance.input(input));
    return status === CallStatus.ok ? "ok" : "dropped";
  }

  #call(operation: WasmFunction, a = 0, b = 0): number {
    this.#check();
    return this.#outcome(this.#instance.call(operation, this.#handle, a, b));
  }

  #check(): void {
    assert(!this.#isClosed, "A group was used after it was closed");
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** @returns the status; throws those that are failures */
  #outcome(code: number): number {
    this.#isReady = (code & 1) === 1;
    const status = code >> 1;
    const cause = this.#instance.host.takeError(this.#handle);
    if (cause !== undefined) {
      // The library was told something that is not so.
      const said = cause instanceof Error ? cause.message : String(cause);
      throw this.#fail(`The log of the group failed: ${said}`, { cause });
    }
    if (status === CallStatus.failed) throw this.#fail(this.#failureText());
    if (status === CallStatus.refused) throw new CoreRefusedError(this.#instance.resultText());
    return status;
  }

  /** Asks again, since the text may be that of another group by now. */
  #failureText(): string {
    this.#instance.call(this.#instance.exports.tick, this.#handle);
    return this.#instance.resultText();
  }

  #fail(message: string, options?: ErrorOptions): CoreGroupFailedError {
    this.#isReady = true;
    this.#failure = new CoreGroupFailedError(message, options);
    return this.#failure;
  }

  /** Reads what the last call gave. That it cannot be read is a fault of the module's. */
  #read<T>(read: (reader: CoreReader) => T): T {
    try {
      return read(new CoreReader(this.#instance.result()));
    } catch (cause) {
      throw this.#fail("The core gave what cannot be read", { cause });
    }
  }
}

function checkedId(id: number): number {
  if (Number.isSafeInteger(id) && id > 0) return id;
  throw new CoreRefusedError(`Cannot use ${id} as a replica's id: it must be an integer from 1`);
}

function checkMost(what: string, count: number, max: number): void {
  if (count <= max) return;
  throw new CoreRefusedError(`Cannot have ${count} ${what}, at most ${max} are allowed`);
}
