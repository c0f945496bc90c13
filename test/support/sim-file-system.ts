import type { File, FileSystem, OpenOptions } from "../../src/platform/file-system.ts";
import { integerFrom } from "./prng.ts";
import type { SimFileNode } from "./sim-disk.ts";
import { SimCrash, SimFaults, type SimMatch, type SimOperation, simError } from "./sim-faults.ts";
import { SimFile, type SimRun, type SimWork } from "./sim-file.ts";
import { SimTree } from "./sim-tree.ts";

export { SimCrash } from "./sim-faults.ts";

/** Called before each operation with its number (from 1), name and path. Throw {@link SimCrash} to stop there. */
export type StepCallback = (step: number, op: SimOperation, path: string) => void;

export interface SimOptions {
  /** Most microtask turns that an operation takes before it happens, and again before it resolves. Default 3. */
  readonly turnsMax?: number;
  /** The disk. Default: an empty one. */
  readonly tree?: SimTree;
  /** What an operation waits for after it has happened and before it is durable. Default: nothing. */
  readonly latency?: (op: SimOperation, path: string) => Promise<void> | undefined;
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
  readonly #tree: SimTree;
  readonly #latency: SimOptions["latency"];
  #capacityBytes = Number.POSITIVE_INFINITY;
  #onStep: StepCallback | undefined;
  #steps = 0;
  #stopped: SimCrash | undefined;
  #isCut = false;

  constructor(random: () => number, options: SimOptions = {}) {
    this.#random = random;
    this.#turnsMax = options.turnsMax ?? 3;
    this.#tree = options.tree ?? new SimTree();
    this.#latency = options.latency;
  }

  /** A disk that holds `files` (as {@link dump} gives them), all synced. */
  static fromDump(random: () => number, files: ReadonlyMap<string, Uint8Array>): SimFileSystem {
    const tree = new SimTree();
    for (const [path, content] of files) tree.addSynced(path, content);
    return new SimFileSystem(random, { tree });
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
    for (const [, node] of this.#tree.files()) total += node.size;
    return total;
  }

  /** All files as programs see them, by path, in byte order of their names. */
  dump(): Map<string, Uint8Array> {
    const result = new Map<string, Uint8Array>();
    for (const [path, node] of this.#tree.files()) result.set(path, node.contents());
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
    this.#tree.cutPower(
      { data: survival ?? this.#mood(), entries: survival ?? this.#mood() },
      this.#random,
    );
  }

  /** Begins the next life on the same disk; see above. Faults and callbacks do not carry over. */
  reopen(): SimFileSystem {
    this.#stop(new SimCrash());
    const next = new SimFileSystem(this.#random, {
      turnsMax: this.#turnsMax,
      tree: this.#tree,
      ...(this.#latency === undefined ? {} : { latency: this.#latency }),
    });
    next.#capacityBytes = this.#capacityBytes;
    return next;
  }

  list(dir: string): Promise<readonly string[]> {
    return this.#run("list", dir, { apply: () => this.#tree.list(dir) });
  }

  makeDir(dir: string): Promise<void> {
    return this.#run("makeDir", dir, { apply: () => this.#tree.makeDir(dir) });
  }

  open(path: string, options: OpenOptions): Promise<File> {
    return this.#run("open", path, {
      needsRoom: options.mode.startsWith("create"),
      apply: () => {
        const run: SimRun = (op, work) => this.#run(op, path, work);
        const room = (node: SimFileNode) => this.#room(node);
        const node = this.#tree.open(path, options);
        return new SimFile({ node, options, run, room, random: this.#random, path });
      },
    });
  }

  rename(from: string, to: string): Promise<void> {
    return this.#run("rename", from, { apply: () => this.#tree.rename(from, to) });
  }

  remove(path: string): Promise<void> {
    return this.#run("remove", path, { apply: () => this.#tree.remove(path) });
  }

  removeDir(dir: string): Promise<void> {
    const removePart = () => this.#tree.removeDir(dir, () => this.#random() < 0.5);
    return this.#run("removeDir", dir, {
      apply: () => this.#tree.removeDir(dir),
      applyPart: removePart,
      fail: removePart,
    });
  }

  exists(path: string): Promise<boolean> {
    return this.#run("exists", path, { apply: () => this.#tree.exists(path) });
  }

  async syncDir(dir: string): Promise<void> {
    const begin = () => {
      const node = this.#tree.dir(dir, "syncDir");
      return { node, sequence: node.sequence };
    };
    await this.#run("syncDir", dir, {
      apply: begin,
      finish: ({ node, sequence }) => node.markDurable(sequence),
      fail: () => {
        const { node, sequence } = begin();
        node.failSync(sequence, this.#random);
      },
    });
  }

  #room(node: SimFileNode): number {
    if (this.#capacityBytes === Number.POSITIVE_INFINITY) return this.#capacityBytes;
    return node.size + this.#capacityBytes - this.usedBytes;
  }

  async #run<T>(op: SimOperation, path: string, work: SimWork<T>): Promise<T> {
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
    const code = this.#faults.take(op, path, work.needsRoom ?? true);
    if (code !== undefined) work.fail?.(code);
    const value = code === undefined ? work.apply() : undefined;
    await this.#faults.heldBy(op, path);
    const latency = this.#latency?.(op, path);
    if (latency !== undefined) await latency;
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

function attempt(work: () => unknown): void {
  try {
    work();
  } catch {
    // Could not have happened: nothing is left of it.
  }
}
