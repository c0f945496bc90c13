import { assert } from "../base/assert.ts";
import { viewOf } from "../base/bytes.ts";
import { CoreTrappedError } from "./core.ts";
import { wasiImports } from "./wasi.ts";
import { CORE_LOG_LEVELS, type CoreLogLevel, WasmHost } from "./wasm-host.ts";

/** What a core needs of the world. The same answers give the same run. */
export interface WasmCoreOptions {
  /**
   * Fills the array with random bytes. They must vary: election timeouts are drawn from them until
   * one fits.
   */
  readonly random: (bytes: Uint8Array) => void;
  /** Nanoseconds since an arbitrary start; never goes back. Only the module's own runtime uses it. */
  readonly monotonicNs: () => bigint;
  /** Takes what the library says of its groups; must not throw. Default: nobody. */
  readonly log?: (line: string, level: CoreLogLevel) => void;
  /** The least grave lines that are wanted. Default "info". */
  readonly logLevel?: CoreLogLevel;
  /** Told once, when the core as a whole is of no use any more. */
  readonly onTrap?: (error: CoreTrappedError) => void;
}

/** A function of the module; all its arguments are numbers. */
export type WasmFunction = (a?: number, b?: number, c?: number) => number;

/** What `wasm/*.go` export. */
export interface WasmExports {
  readonly memory: WebAssembly.Memory;
  readonly _initialize: WasmFunction;
  readonly result_address: WasmFunction;
  readonly in_buffer: WasmFunction;
  readonly set_log_level: WasmFunction;
  readonly next_handle: WasmFunction;
  readonly open: WasmFunction;
  readonly close_group: WasmFunction;
  readonly tick: WasmFunction;
  readonly tick_all: WasmFunction;
  readonly campaign: WasmFunction;
  readonly step: WasmFunction;
  readonly propose: WasmFunction;
  readonly propose_conf_change: WasmFunction;
  readonly apply_conf_change: WasmFunction;
  readonly ready: WasmFunction;
  readonly job_done: WasmFunction;
  readonly read_index: WasmFunction;
  readonly transfer_leader: WasmFunction;
  readonly forget_leader: WasmFunction;
  readonly report_unreachable: WasmFunction;
  readonly report_snapshot: WasmFunction;
  readonly status: WasmFunction;
}

/** How a call went, as `wasm/errors.go` says: the code is this, shifted by one, and a bit for "ready". */
export const CallStatus = {
  ok: 0,
  dropped: 1,
  ignored: 2,
  malformed: 3,
  failed: 4,
  refused: 5,
} as const;

/** Number that no level reaches, so that lines are not even made. */
const LOG_NONE = CORE_LOG_LEVELS.length;

/** Last words that are kept of a runtime that gives up. */
const LAST_WORDS_MAX = 4096;

/** The running module: calls into it, and bytes in and out of its memory. */
export class WasmInstance {
  readonly exports: WasmExports;
  readonly host: WasmHost;
  readonly #options: WasmCoreOptions;
  readonly #resultAt: number;
  #inputAt = 0;
  #inputRoom = 0;
  #isInside = false;
  #lastWords = "";
  #trap: CoreTrappedError | undefined;
  #memory = new Uint8Array(0);
  #view = viewOf(this.#memory);

  constructor(module: WebAssembly.Module, options: WasmCoreOptions) {
    this.#options = options;
    const memory = () => this.exports.memory;
    this.host = new WasmHost(memory, options.log ?? (() => {}));
    const wasi = wasiImports(module, memory, {
      random: options.random,
      monotonicNs: options.monotonicNs,
      write: (text) => {
        this.#lastWords = (this.#lastWords + text).slice(0, LAST_WORDS_MAX);
      },
    });
    const imports = { wasi_snapshot_preview1: wasi, host: this.host.imports() };
    this.exports = new WebAssembly.Instance(module, imports).exports as WasmExports;
    this.call(this.exports._initialize);
    this.#resultAt = this.call(this.exports.result_address) >>> 0;
    const level = CORE_LOG_LEVELS.indexOf(options.logLevel ?? "info");
    this.call(this.exports.set_log_level, options.log === undefined ? LOG_NONE : level);
  }

  /**
   * Calls a function of the module.
   *
   * @throws {CoreTrappedError} when the module can run no more, now or since an earlier call
   */
  call(operation: WasmFunction, a = 0, b = 0, c = 0): number {
    if (this.#trap !== undefined) throw this.#trap;
    assert(!this.#isInside, "A log must not call the core that asks it");
    this.#isInside = true;
    try {
      return operation(a, b, c);
    } catch (cause) {
      throw this.#stop(cause);
    } finally {
      this.#isInside = false;
    }
  }

  /** Copies the argument of the next call into the module. @returns its size */
  input(bytes: Uint8Array): number {
    if (bytes.length > this.#inputRoom) {
      this.#inputAt = this.call(this.exports.in_buffer, bytes.length) >>> 0;
      this.#inputRoom = bytes.length;
    }
    this.#refresh();
    this.#memory.set(bytes, this.#inputAt);
    return bytes.length;
  }

  /** The last call gave something. */
  get hasResult(): boolean {
    this.#refresh();
    return this.#view.getUint32(this.#resultAt + 4, true) > 0;
  }

  /** A copy of what the last call gave; empty when it gave nothing. */
  result(): Uint8Array {
    this.#refresh();
    const start = this.#view.getUint32(this.#resultAt, true);
    const size = this.#view.getUint32(this.#resultAt + 4, true);
    return this.#memory.slice(start, start + size);
  }

  /** The last call gave a text. */
  resultText(): string {
    return new TextDecoder().decode(this.result());
  }

  /** Bytes of the module's memory, which never shrinks. */
  get memoryBytes(): number {
    return this.exports.memory.buffer.byteLength;
  }

  /** The buffer is another one after the memory grew, which any call may do. */
  #refresh(): void {
    const { buffer } = this.exports.memory;
    if (this.#memory.buffer === buffer) return;
    this.#memory = new Uint8Array(buffer);
    this.#view = viewOf(this.#memory);
  }

  #stop(cause: unknown): CoreTrappedError {
    const said = cause instanceof Error ? cause.message : String(cause);
    const words = this.#lastWords === "" ? "" : `: ${this.#lastWords}`;
    this.#trap = new CoreTrappedError(`The Raft core stopped: ${said}${words}`, { cause });
    this.#options.onTrap?.(this.#trap);
    return this.#trap;
  }
}
