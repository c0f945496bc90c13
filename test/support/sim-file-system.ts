import { concat } from "../../src/base/bytes.ts";
import type { Position } from "../../src/base/units.ts";
import type { File, FileSystem, OpenOptions } from "../../src/platform/file-system.ts";
import { integerFrom } from "./prng.ts";
import { SimDirNode, SimFileNode, type SimNode } from "./sim-disk.ts";
import { SimCrash, SimFaults, type SimMatch, type SimOperation, simError } from "./sim-faults.ts";

export { SimCrash } from "./sim-faults.ts";

/** Called before each operation with its number (from 1), name and path. Throw {@link SimCrash} to stop there. */
export type StepCallback = (step: number, op: SimOperation, path: string) => void;

export interface SimOptions {
  /** Most microtask turns that an operation takes before it happens, and again before it resolves. Default 3. */
  readonly turnsMax?: number;
}

/** One operation. Nothing of it may be asynchronous: time passes around it only. */
interface Work<T> {
  /** Does it; throws a platform error when it cannot. */
  readonly apply: () => T;
  /** Does a part of it: the disk failed or the machine stopped meanwhile. Absent: same as `apply`. */
  readonly applyPart?: () => void;
  /** At the moment that it resolves. */
  readonly finish?: (value: T) => void;
  /** When a fault was asked for. Absent: nothing happens but the rejection. */
  readonly fail?: (code: string) => void;
}

/**
 * A disk in memory that can lose power, fail and be full.
 *
 * What a power cut ({@link SimFileSystem.crash}) leaves, which is the weakest that POSIX lets a program assume:
 * - Of a file's writes and truncations since its last sync, any subset, applied in their order. A write
 *   that is not kept whole may be cut at any byte, keep any of its 512-byte sectors, or leave
 *   zeros where it made the file longer. What was synced before is never harmed.
 * - Of a folder's changes (a name made, removed, renamed) since its last `syncDir`, any subset, in
 *   their order. A rename inside one folder is one change: it survives as a whole or not at all. A
 *   move between folders is one change in each: afterwards the file may be at both places or at none.
 * - A file whose entry was never synced can vanish though its content was synced, and so does a folder
 *   with all in it.
 * - A write through `syncWrites` is durable when it resolves, alone; until then it is as any other.
 * - What a sync covers was written when it began, and is durable when it resolves. When it fails, each
 *   of those changes is durable or lost for good, although reads still show it: a later sync that
 *   succeeds mends nothing.
 *
 * All takes microtasks only, a random number of turns, so a run is a function of the seed.
 *
 * Life and death: `crash()` cuts the power, `reopen()` starts the machine again and gives a *new*
 * object; this one and its files reject with {@link SimCrash} from then on, so that what is left of
 * the old program cannot reach the new disk. `reopen()` without a crash is `kill -9`: all that was
 * written is there, and still pending.
 *
 * Space ({@link SimFileSystem.setCapacity}) counts the sizes of all files that have a name.
 */
export class SimFileSystem implements FileSystem {
  readonly #random: () => number;
  readonly #turnsMax: number;
  readonly #faults = new SimFaults();
  #root: SimDirNode;
  #capacityBytes = Number.POSITIVE_INFINITY;
  #onStep: StepCallback | undefined;
  #steps = 0;
  #stopped: SimCrash | undefined;
  #isCut = false;

  constructor(random: () => number, options: SimOptions = {}) {
    this.#random = random;
    this.#turnsMax = options.turnsMax ?? 3;
    this.#root = new SimDirNode();
  }

  /** A disk that holds `files` (as {@link dump} gives them), all synced. */
  static fromDump(random: () => number, files: ReadonlyMap<string, Uint8Array>): SimFileSystem {
    const result = new SimFileSystem(random);
    for (const [path, content] of files) {
      const parts = split(path);
      const name = parts.pop() ?? "";
      let dir = result.#root;
      for (const part of parts) {
        const found = dir.live.get(part) ?? new SimDirNode();
        if (found.kind === "file") throw simError("ENOTDIR", "open", path);
        dir.addSynced(part, found);
        dir = found;
      }
      dir.addSynced(name, new SimFileNode(content.slice()));
    }
    return result;
  }

  /** Operations begun in this life. */
  get steps(): number {
    return this.#steps;
  }

  /** True after a crash, also one that a step's callback asked for. */
  get isStopped(): boolean {
    return this.#stopped !== undefined;
  }

  onStep(callback: StepCallback | undefined): void {
    this.#onStep = callback;
  }

  /**
   * Makes the next operation that fits fail with `code`. A write leaves a part of itself behind; a
   * sync leaves the file in the state that is described above. Several may be asked for.
   */
  failNext(match: SimMatch, code: "ENOSPC" | "EIO" | (string & {})): void {
    this.#faults.fail(match, code);
  }

  /** Forgets what {@link failNext} asked for and has not happened yet. */
  clearFaults(): void {
    this.#faults.clear();
  }

  /**
   * Keeps operations that fit from resolving, as a slow disk does: they have happened, but are not
   * durable yet. @returns a function that lets go
   */
  hold(match: Pick<SimMatch, "op" | "path">): () => void {
    return this.#faults.hold(match);
  }

  /** Sets the disk's size: a write that would go beyond it writes what fits and fails with ENOSPC. */
  setCapacity(bytes: number): void {
    this.#capacityBytes = bytes;
  }

  /** Sizes of all files. */
  get usedBytes(): number {
    let total = 0;
    for (const [, node] of walk(this.#root)) total += node.size;
    return total;
  }

  /** All files as programs see them, by path, in byte order of their names. */
  dump(): Map<string, Uint8Array> {
    const result = new Map<string, Uint8Array>();
    for (const [path, node] of walk(this.#root)) result.set(path, node.contents());
    return result;
  }

  /**
   * Cuts the power. `survival` is the chance of each change that was not synced: 0 loses them all, 1
   * keeps them all; by default a random one, different for data and for names.
   */
  crash(survival?: number): void {
    if (this.#isCut) throw new Error("Cannot cut the power twice");
    this.#isCut = true;
    this.#stop(new SimCrash());
    this.#root = this.#root.afterPowerCut(
      { data: survival ?? this.#mood(), entries: survival ?? this.#mood() },
      this.#random,
    );
  }

  /** Begins the next life on the same disk; see above. Faults and callbacks do not carry over. */
  reopen(): SimFileSystem {
    this.#stop(new SimCrash());
    const next = new SimFileSystem(this.#random, { turnsMax: this.#turnsMax });
    next.#root = this.#root;
    next.#capacityBytes = this.#capacityBytes;
    return next;
  }

  list(dir: string): Promise<readonly string[]> {
    return this.#run("list", dir, {
      apply: () => sortNames([...this.#dir(dir, "list").live.keys()]),
    });
  }

  makeDir(dir: string): Promise<void> {
    return this.#run("makeDir", dir, {
      apply: () => {
        let parent = this.#root;
        for (const part of split(dir)) {
          const found = parent.live.get(part);
          const child = found ?? new SimDirNode();
          if (child.kind === "file") throw simError("EEXIST", "makeDir", dir);
          if (found === undefined) parent.change(new Map([[part, child]]));
          parent = child;
        }
      },
    });
  }

  open(path: string, options: OpenOptions): Promise<File> {
    return this.#run("open", path, {
      apply: () => {
        const run: Run = (op, work) => this.#run(op, path, work);
        const room = (node: SimFileNode) => this.#room(node);
        const node = this.#openNode(path, options);
        return new SimFile({ node, options, run, room, random: this.#random, path });
      },
    });
  }

  rename(from: string, to: string): Promise<void> {
    return this.#run("rename", from, { apply: () => this.#rename(from, to) });
  }

  remove(path: string): Promise<void> {
    return this.#run("remove", path, {
      apply: () => {
        if (!this.#isThere(path)) return;
        const { dir, name } = this.#place(path, "remove");
        const node = dir.live.get(name);
        if (node === undefined) return;
        if (node.kind === "dir") throw simError("EISDIR", "remove", path);
        dir.change(new Map([[name, undefined]]));
      },
    });
  }

  removeDir(dir: string): Promise<void> {
    const removeAll = (isCut: boolean) => {
      if (!this.#isThere(dir)) return;
      const { dir: parent, name } = this.#place(dir, "removeDir");
      const node = parent.live.get(name);
      if (node === undefined) return;
      if (node.kind === "dir") this.#empty(node, isCut);
      if (!isCut) parent.change(new Map([[name, undefined]]));
    };
    return this.#run("removeDir", dir, {
      apply: () => removeAll(false),
      applyPart: () => removeAll(true),
      fail: () => removeAll(true),
    });
  }

  exists(path: string): Promise<boolean> {
    return this.#run("exists", path, {
      apply: () => this.#isThere(path),
    });
  }

  syncDir(dir: string): Promise<void> {
    const begin = () => {
      const node = this.#dir(dir, "syncDir");
      return { node, sequence: node.sequence };
    };
    return this.#run("syncDir", dir, {
      apply: begin,
      finish: ({ node, sequence }) => node.markDurable(sequence),
      fail: () => {
        const { node, sequence } = begin();
        node.failSync(sequence, this.#random);
      },
    }).then(() => undefined);
  }

  #room(node: SimFileNode): number {
    if (this.#capacityBytes === Number.POSITIVE_INFINITY) return this.#capacityBytes;
    return node.size + this.#capacityBytes - this.usedBytes;
  }

  #rename(from: string, to: string): void {
    const source = this.#place(from, "rename");
    const target = this.#place(to, "rename");
    const node = source.dir.live.get(source.name);
    const replaced = target.dir.live.get(target.name);
    if (node === undefined) throw simError("ENOENT", "rename", from);
    if (node === replaced) return;
    if (node.kind === "dir" && (node === target.dir || contains(node, target.dir))) {
      throw simError("EINVAL", "rename", to);
    }
    if (replaced?.kind === "dir") {
      if (node.kind === "file") throw simError("EISDIR", "rename", to);
      if (replaced.live.size > 0) throw simError("ENOTEMPTY", "rename", to);
    } else if (replaced !== undefined && node.kind === "dir") {
      throw simError("ENOTDIR", "rename", to);
    }
    if (source.dir === target.dir) {
      source.dir.change(
        new Map<string, SimNode | undefined>([
          [source.name, undefined],
          [target.name, node],
        ]),
      );
    } else {
      target.dir.change(new Map([[target.name, node]]));
      source.dir.change(new Map([[source.name, undefined]]));
    }
  }

  #openNode(path: string, { mode }: OpenOptions): SimFileNode {
    const { dir, name } = this.#place(path, "open");
    const found = dir.live.get(name);
    if (found !== undefined) {
      if (mode === "create-new") throw simError("EEXIST", "open", path);
      if (found.kind === "dir") throw simError("EISDIR", "open", path);
      return found;
    }
    if (mode === "read" || mode === "write") throw simError("ENOENT", "open", path);
    const made = new SimFileNode();
    dir.change(new Map([[name, made]]));
    return made;
  }

  #empty(dir: SimDirNode, isCut: boolean): void {
    for (const [name, node] of dir.live) {
      if (isCut && this.#random() < 0.5) continue;
      if (node.kind === "dir") this.#empty(node, isCut);
      if (node.kind === "file" || node.live.size === 0) dir.change(new Map([[name, undefined]]));
    }
  }

  #isThere(path: string): boolean {
    try {
      return this.#find(path, "exists") !== undefined;
    } catch {
      return false;
    }
  }

  #find(path: string, op: SimOperation): SimNode | undefined {
    let node: SimNode | undefined = this.#root;
    for (const part of split(path)) {
      if (node === undefined) return undefined;
      if (node.kind === "file") throw simError("ENOTDIR", op, path);
      node = node.live.get(part);
    }
    return node;
  }

  #dir(path: string, op: SimOperation): SimDirNode {
    const node = this.#find(path, op);
    if (node === undefined) throw simError("ENOENT", op, path);
    if (node.kind === "file") throw simError("ENOTDIR", op, path);
    return node;
  }

  /** The folder that `path`'s last name is in. */
  #place(path: string, op: SimOperation): { dir: SimDirNode; name: string } {
    const parts = split(path);
    const name = parts.pop();
    if (name === undefined) throw simError("EBUSY", op, path);
    return { dir: this.#dir(parts.join("/"), op), name };
  }

  async #run<T>(op: SimOperation, path: string, work: Work<T>): Promise<T> {
    await this.#pause();
    this.#steps += 1;
    try {
      this.#onStep?.(this.#steps, op, path);
    } catch (error) {
      // The step was under way when the machine stopped.
      if (this.#random() < 0.5) attempt(work.applyPart ?? work.apply);
      this.#stop(error instanceof SimCrash ? error : new SimCrash(String(error)));
      throw error;
    }
    const code = this.#faults.take(op, path);
    if (code !== undefined) work.fail?.(code);
    const value = code === undefined ? work.apply() : undefined;
    await this.#faults.heldBy(op, path);
    await this.#pause();
    if (code !== undefined) throw simError(code, op, path);
    work.finish?.(value as T);
    return value as T;
  }

  async #pause(): Promise<void> {
    this.#refuseStopped();
    for (let turns = integerFrom(this.#random, 0, this.#turnsMax); turns > 0; turns -= 1) {
      await undefined;
    }
    this.#refuseStopped();
  }

  #refuseStopped(): void {
    if (this.#stopped !== undefined) throw this.#stopped;
  }

  #stop(reason: SimCrash): void {
    this.#stopped ??= reason;
    this.#faults.releaseAll();
  }

  /** One number for the whole cut: with one chance for all, losing or keeping everything would never be seen. */
  #mood(): number {
    const way = this.#random();
    if (way < 0.2) return 0;
    if (way < 0.4) return 1;
    return this.#random();
  }
}

type Run = <T>(op: SimOperation, work: Work<T>) => Promise<T>;

interface SimFileParts {
  readonly node: SimFileNode;
  readonly options: OpenOptions;
  readonly run: Run;
  /** Size that the file can have on a disk of that capacity. */
  readonly room: (node: SimFileNode) => number;
  readonly random: () => number;
  readonly path: string;
}

class SimFile implements File {
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

  write(parts: readonly Uint8Array[], at: Position): Promise<void> {
    const { node, options, random } = this.#parts;
    const bytes = concat(parts);
    const isSynced = options.syncWrites === true;
    const writePart = () => {
      const end = Math.min(this.#parts.room(node) - at, integerFrom(random, 0, bytes.length));
      node.write(bytes.subarray(0, Math.max(0, end)), at);
    };
    return this.#run("write", {
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
    }).then(() => undefined);
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

  sync(): Promise<void> {
    const { node, random } = this.#parts;
    return this.#run("sync", {
      apply: () => node.sequence,
      finish: (sequence) => node.markDurable(sequence),
      fail: () => node.failSync(node.sequence, random),
    }).then(() => undefined);
  }

  async close(): Promise<void> {
    this.#refuseClosed("close");
    this.#isClosed = true;
    await this.#parts.run("close", { apply: () => undefined });
  }

  async #run<T>(op: SimOperation, work: Work<T>): Promise<T> {
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

function* walk(dir: SimDirNode, prefix = ""): Generator<[string, SimFileNode]> {
  for (const name of sortNames([...dir.live.keys()])) {
    const node = dir.live.get(name);
    if (node?.kind === "file") yield [prefix + name, node];
    else if (node !== undefined) yield* walk(node, `${prefix}${name}/`);
  }
}

function contains(dir: SimDirNode, wanted: SimDirNode): boolean {
  for (const node of dir.live.values()) {
    if (node === wanted || (node.kind === "dir" && contains(node, wanted))) return true;
  }
  return false;
}

function split(path: string): string[] {
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  if (path.startsWith("/") || parts.includes("..")) throw new Error(`Path leaves root: ${path}`);
  return parts;
}

function sortNames(names: string[]): string[] {
  return names.sort((left, right) => Buffer.compare(Buffer.from(left), Buffer.from(right)));
}

function attempt(work: () => unknown): void {
  try {
    work();
  } catch {
    // Could not have happened: nothing is left of it.
  }
}
