import { concat } from "../../src/base/bytes.ts";
import type { Position } from "../../src/base/units.ts";
import type { File, OpenOptions } from "../../src/platform/file-system.ts";
import { integerFrom } from "./prng.ts";
import type { SimFileNode } from "./sim-disk.ts";
import { type SimOperation, simError } from "./sim-faults.ts";

/** One operation. Nothing of it may be asynchronous: time passes around it only. */
export interface SimWork<T> {
  /** Does it; throws a platform error when it cannot. */
  readonly apply: () => T;
  /** Does a part of it: the disk failed or the machine stopped meanwhile. Absent: same as `apply`. */
  readonly applyPart?: () => void;
  /** At the moment that it resolves. */
  readonly finish?: (value: T) => void;
  /** When a fault was asked for. Absent: nothing happens but the rejection. */
  readonly fail?: (code: string) => void;
  /** False: it cannot fail for want of room. Absent: it can. */
  readonly needsRoom?: boolean;
}

export type SimRun = <T>(op: SimOperation, work: SimWork<T>) => Promise<T>;

export interface SimFileParts {
  readonly node: SimFileNode;
  readonly options: OpenOptions;
  readonly run: SimRun;
  /** Size that the file can have on a disk of that capacity. */
  readonly room: (node: SimFileNode) => number;
  readonly random: () => number;
  readonly path: string;
}

/** An open file of the simulated disk. */
export class SimFile implements File {
  readonly #parts: SimFileParts;
  #isClosed = false;

  constructor(parts: SimFileParts) {
    this.#parts = parts;
  }

  size(): Promise<number> {
    return this.#run("size", { apply: () => this.#parts.node.size });
  }

  read(target: Uint8Array, at: Position): Promise<number> {
    return this.#run("read", { apply: () => this.#parts.node.read(target, at) });
  }

  async write(parts: readonly Uint8Array[], at: Position): Promise<void> {
    const { node, options, random } = this.#parts;
    const bytes = concat(parts);
    const isSynced = options.syncWrites === true;
    const writePart = () => {
      const end = Math.min(this.#parts.room(node) - at, integerFrom(random, 0, bytes.length));
      node.write(bytes.subarray(0, Math.max(0, end)), at);
    };
    await this.#run("write", {
      apply: () => {
        this.#refuseReader("write");
        const fits = Math.max(0, Math.min(bytes.length, this.#parts.room(node) - at));
        const isWhole = fits === bytes.length || at + bytes.length <= node.size;
        const sequence = node.write(isWhole ? bytes : bytes.subarray(0, fits), at);
        if (!isWhole) throw simError("ENOSPC", "write", this.#parts.path);
        return sequence;
      },
      applyPart: writePart,
      finish: (sequence) => {
        if (isSynced) node.markOneDurable(sequence);
      },
      fail: (code) => {
        writePart();
        if (isSynced && code !== "ENOSPC") node.failSync(node.sequence, random);
      },
    });
  }

  truncate(sizeBytes: number): Promise<void> {
    const { node, room, path } = this.#parts;
    return this.#run("truncate", {
      apply: () => {
        this.#refuseReader("truncate");
        if (sizeBytes > Math.max(node.size, room(node))) throw simError("ENOSPC", "truncate", path);
        if (sizeBytes !== node.size) node.truncate(sizeBytes);
      },
    });
  }

  async sync(): Promise<void> {
    const { node, random } = this.#parts;
    await this.#run("sync", {
      apply: () => node.sequence,
      finish: (sequence) => node.markDurable(sequence),
      fail: () => node.failSync(node.sequence, random),
    });
  }

  async close(): Promise<void> {
    this.#refuseClosed("close");
    this.#isClosed = true;
    await this.#parts.run("close", { apply: () => undefined });
  }

  async #run<T>(op: SimOperation, work: SimWork<T>): Promise<T> {
    this.#refuseClosed(op);
    return await this.#parts.run(op, work);
  }

  #refuseClosed(op: SimOperation): void {
    if (this.#isClosed) throw simError("EBADF", op, this.#parts.path);
  }

  #refuseReader(op: SimOperation): void {
    if (this.#parts.options.mode === "read") throw simError("EBADF", op, this.#parts.path);
  }
}
