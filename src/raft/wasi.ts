import { viewOf } from "../base/bytes.ts";

/** What a module without files may ask of its host. All of it is handed in, so that a run can be repeated. */
export interface WasiHost {
  /** Fills `bytes` with random ones. */
  readonly random: (bytes: Uint8Array) => void;
  /** Nanoseconds since an arbitrary start; never goes back. */
  readonly monotonicNs: () => bigint;
  /** What it writes to its standard output and error: the last words of a runtime that gives up. */
  readonly write: (text: string) => void;
}

/** The module ended itself: its runtime found something that it cannot go on from. */
export class WasiExitError extends Error {
  override readonly name = "WasiExitError";
}

/** @see https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md */
const ERRNO_SUCCESS = 0;
const ERRNO_BADF = 8;
const ERRNO_NOSYS = 52;
const STDOUT = 1;
const STDERR = 2;
const IOVEC_BYTES = 8;
const SUBSCRIPTION_BYTES = 48;
const SUBSCRIPTION_TYPE_AT = 8;
const SUBSCRIPTION_TIMEOUT_AT = 24;
const SUBSCRIPTION_IS_CLOCK = 0;
const WASI_MODULE = "wasi_snapshot_preview1";

type WasiFunction = (...args: never[]) => number;

/**
 * The imports that Go's runtime needs in a reactor: no arguments, no environment, no files, no
 * waiting. Whatever else the module names answers "not supported".
 */
export function wasiImports(
  module: WebAssembly.Module,
  memory: () => WebAssembly.Memory,
  host: WasiHost,
): Record<string, WasiFunction> {
  const known = wasiFunctions(() => new Uint8Array(memory().buffer), host);
  const imports: Record<string, WasiFunction> = {};
  for (const { module: from, name } of WebAssembly.Module.imports(module)) {
    if (from === WASI_MODULE) imports[name] = known[name] ?? (() => ERRNO_NOSYS);
  }
  return imports;
}

/** The memory is asked for on every use: it moves when it grows. Addresses arrive as signed integers. */
function wasiFunctions(memory: () => Uint8Array, host: WasiHost): Record<string, WasiFunction> {
  let passedNs = 0n;
  const clock = {
    nowNs: () => host.monotonicNs() + passedNs,
    passNs: (ns: bigint) => {
      passedNs += ns;
    },
  };
  const noStrings = (countAt: number, bytesAt: number): number => {
    const view = viewOf(memory());
    view.setUint32(countAt >>> 0, 0, true);
    view.setUint32(bytesAt >>> 0, 0, true);
    return ERRNO_SUCCESS;
  };
  return {
    args_sizes_get: noStrings,
    args_get: () => ERRNO_SUCCESS,
    environ_sizes_get: noStrings,
    environ_get: () => ERRNO_SUCCESS,
    // The wall clock as well: nothing here may depend on it.
    clock_time_get: (_clock: number, _precision: bigint, at: number) => {
      viewOf(memory()).setBigUint64(at >>> 0, clock.nowNs(), true);
      return ERRNO_SUCCESS;
    },
    random_get: (at: number, size: number) => {
      host.random(memory().subarray(at >>> 0, (at >>> 0) + size));
      return ERRNO_SUCCESS;
    },
    fd_write: (fd: number, vectorsAt: number, count: number, writtenAt: number) => {
      if (fd !== STDOUT && fd !== STDERR) return ERRNO_BADF;
      const written = writeOut(memory(), vectorsAt >>> 0, count, host.write);
      viewOf(memory()).setUint32(writtenAt >>> 0, written, true);
      return ERRNO_SUCCESS;
    },
    fd_fdstat_get: () => ERRNO_BADF,
    fd_prestat_get: () => ERRNO_BADF,
    fd_close: () => ERRNO_SUCCESS,
    sched_yield: () => ERRNO_SUCCESS,
    // Go's scheduler looks for timers here, in the middle of its garbage collection, and may wait for
    // one. Then it finds that the time has passed: nobody may sleep in a call.
    poll_oneoff: (
      subscriptionsAt: number,
      _eventsAt: number,
      count: number,
      happenedAt: number,
    ) => {
      clock.passNs(shortestWait(memory(), subscriptionsAt >>> 0, count));
      // Their bytes are zeros already, which is how the event of a clock looks.
      viewOf(memory()).setUint32(happenedAt >>> 0, count, true);
      return ERRNO_SUCCESS;
    },
    proc_exit: (status: number) => {
      throw new WasiExitError(`The module ended itself with status ${status}`);
    },
  };
}

/** Nanoseconds until the first of the clocks that are waited for. */
function shortestWait(memory: Uint8Array, subscriptionsAt: number, count: number): bigint {
  const view = viewOf(memory);
  let shortest: bigint | undefined;
  for (let index = 0; index < count; index += 1) {
    const at = subscriptionsAt + SUBSCRIPTION_BYTES * index;
    if (view.getUint8(at + SUBSCRIPTION_TYPE_AT) !== SUBSCRIPTION_IS_CLOCK) continue;
    const wait = view.getBigUint64(at + SUBSCRIPTION_TIMEOUT_AT, true);
    if (shortest === undefined || wait < shortest) shortest = wait;
  }
  if (shortest === undefined) throw new WasiExitError("The module waits for what never comes");
  return shortest;
}

function writeOut(
  memory: Uint8Array,
  vectorsAt: number,
  count: number,
  write: (text: string) => void,
): number {
  const view = viewOf(memory);
  let written = 0;
  for (let index = 0; index < count; index += 1) {
    const at = view.getUint32(vectorsAt + IOVEC_BYTES * index, true);
    const size = view.getUint32(vectorsAt + IOVEC_BYTES * index + 4, true);
    write(new TextDecoder().decode(memory.subarray(at, at + size)));
    written += size;
  }
  return written;
}
