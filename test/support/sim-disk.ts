/**
 * What the simulated file system keeps: files and folders, each as it looks to
 * programs and as it would look after a power cut. See sim-file-system.ts for
 * the fault model.
 */

/** Smallest unit that a disk writes whole or not at all. */
const SECTOR_BYTES = 512;

/** Chance, 0 to 1, that a power cut leaves a change that was not synced. At 0 nothing is torn either. */
export interface Survival {
  readonly data: number;
  readonly entries: number;
}

interface PendingChange {
  readonly sequence: number;
  /** "pending" may be lost, "durable" is on the disk, "dropped" never gets there. */
  state: "pending" | "durable" | "dropped";
}

interface FileChange extends PendingChange {
  /** Absent for a truncation, whose new size is `at`. */
  readonly bytes: Uint8Array | undefined;
  readonly at: number;
}

/** Bytes that can be written anywhere and cut; gaps are zeros. */
class GrowingBytes {
  #bytes: Uint8Array;
  #size: number;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#size = bytes.length;
  }

  get size(): number {
    return this.#size;
  }

  write(bytes: Uint8Array, at: number): void {
    if (bytes.length === 0) return;
    this.#reserve(at + bytes.length);
    this.#bytes.set(bytes, at);
    this.#size = Math.max(this.#size, at + bytes.length);
  }

  resize(size: number): void {
    if (size < this.#size) this.#bytes.fill(0, size, this.#size);
    else this.#reserve(size);
    this.#size = size;
  }

  /** A view: it changes with later writes. */
  view(start = 0, end = this.#size): Uint8Array {
    return this.#bytes.subarray(Math.min(start, this.#size), Math.min(end, this.#size));
  }

  #reserve(size: number): void {
    if (size <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(size, this.#bytes.length * 2, SECTOR_BYTES));
    grown.set(this.view());
    this.#bytes = grown;
  }
}

/** A file's content, without its name. */
export class SimFileNode {
  readonly kind = "file";
  readonly #live: GrowingBytes;
  /** Absent while it equals `#live`: files that are only read are held once. */
  #synced: GrowingBytes | undefined;
  #pending: FileChange[] = [];
  #sequence = 0;

  constructor(content: Uint8Array = new Uint8Array(0)) {
    this.#live = new GrowingBytes(content);
  }

  get size(): number {
    return this.#live.size;
  }

  /** Number of the last change so far; {@link markDurable} takes it. */
  get sequence(): number {
    return this.#sequence;
  }

  read(target: Uint8Array, at: number): number {
    const found = this.#live.view(at, at + target.length);
    target.set(found);
    return found.length;
  }

  contents(): Uint8Array {
    return this.#live.view().slice();
  }

  /** @param bytes must not change afterwards. @returns the change's number, 0 for none */
  write(bytes: Uint8Array, at: number): number {
    if (bytes.length === 0) return 0;
    const sequence = this.#add(bytes, at);
    this.#live.write(bytes, at);
    return sequence;
  }

  truncate(size: number): number {
    const sequence = this.#add(undefined, size);
    this.#live.resize(size);
    return sequence;
  }

  /** All changes up to `sequence` are on the disk, but for those that were dropped. */
  markDurable(sequence: number): void {
    for (const change of this.#pending) {
      if (change.sequence > sequence) break;
      if (change.state === "pending") change.state = "durable";
    }
    this.#fold();
  }

  /** Only the change of that number is on the disk. */
  markOneDurable(sequence: number): void {
    const change = this.#pending.findLast((candidate) => candidate.sequence === sequence);
    if (change?.state === "pending") change.state = "durable";
    this.#fold();
  }

  /**
   * A sync up to `sequence` failed: each change reached the disk or was dropped
   * from the page cache, and no later sync will tell (or mend it).
   */
  failSync(sequence: number, random: () => number): void {
    for (const change of this.#pending) {
      if (change.sequence > sequence) break;
      if (change.state === "pending") change.state = random() < 0.5 ? "durable" : "dropped";
    }
    this.#fold();
  }

  /** What a power cut leaves of it, as a file that has nothing pending. */
  afterPowerCut(survival: Survival, random: () => number): SimFileNode {
    if (this.#synced === undefined) return new SimFileNode(this.contents());
    const left = this.#synced;
    for (const change of this.#pending) {
      if (change.state === "durable" || random() < survival.data) apply(left, change);
      else if (survival.data > 0 && change.bytes !== undefined)
        tear(left, change.bytes, change.at, random);
    }
    return new SimFileNode(left.view());
  }

  #add(bytes: Uint8Array | undefined, at: number): number {
    this.#synced ??= new GrowingBytes(this.contents());
    this.#sequence += 1;
    this.#pending.push({ sequence: this.#sequence, state: "pending", bytes, at });
    return this.#sequence;
  }

  /** Moves what is decided from the front of the list into the synced content, in order. */
  #fold(): void {
    const undecided = this.#pending.findIndex((change) => change.state === "pending");
    const count = undecided < 0 ? this.#pending.length : undecided;
    if (count === 0 || this.#synced === undefined) return;
    for (const change of this.#pending.slice(0, count)) {
      if (change.state === "durable") apply(this.#synced, change);
    }
    this.#pending = this.#pending.slice(count);
  }
}

function apply(target: GrowingBytes, change: FileChange): void {
  if (change.bytes === undefined) target.resize(change.at);
  else target.write(change.bytes, change.at);
}

/** Keeps a part of a write, or nothing. Sectors are counted from the start of the file, as on a disk. */
function tear(target: GrowingBytes, bytes: Uint8Array, at: number, random: () => number): void {
  const way = random();
  if (way < 0.4) return;
  if (way < 0.7) {
    target.write(bytes.subarray(0, Math.floor(random() * (bytes.length + 1))), at);
    return;
  }
  // The size may be on the disk without the bytes: then they are zeros.
  if (way > 0.85) target.resize(Math.max(target.size, at + bytes.length));
  let next = 0;
  while (next < bytes.length) {
    const end = Math.min(bytes.length, next + SECTOR_BYTES - ((at + next) % SECTOR_BYTES));
    if (random() < 0.5) target.write(bytes.subarray(next, end), at + next);
    next = end;
  }
}

export type SimNode = SimFileNode | SimDirNode;

interface DirChange extends PendingChange {
  /** New meaning of each name; undefined: the name is gone. All of them or none survive. */
  readonly entries: ReadonlyMap<string, SimNode | undefined>;
}

/** A folder: names and what they lead to. */
export class SimDirNode {
  readonly kind = "dir";
  readonly live = new Map<string, SimNode>();
  readonly #synced = new Map<string, SimNode>();
  #pending: DirChange[] = [];
  #sequence = 0;

  get sequence(): number {
    return this.#sequence;
  }

  /** One change of one or more names, undone or kept as a whole. */
  change(entries: ReadonlyMap<string, SimNode | undefined>): void {
    this.#sequence += 1;
    this.#pending.push({ sequence: this.#sequence, state: "pending", entries });
    applyEntries(this.live, entries);
  }

  /** As it would be had `node` been there and synced all along. */
  addSynced(name: string, node: SimNode): void {
    this.live.set(name, node);
    this.#synced.set(name, node);
  }

  markDurable(sequence: number): void {
    this.#decide(sequence, () => "durable");
  }

  failSync(sequence: number, random: () => number): void {
    this.#decide(sequence, () => (random() < 0.5 ? "durable" : "dropped"));
  }

  /** What a power cut leaves of it and of all that is reached from it. */
  afterPowerCut(
    survival: Survival,
    random: () => number,
    done = new Map<SimNode, SimNode>(),
  ): SimDirNode {
    const left = new Map(this.#synced);
    for (const change of this.#pending) {
      if (random() < survival.entries) applyEntries(left, change.entries);
    }
    const result = new SimDirNode();
    done.set(this, result);
    for (const [name, node] of left) {
      // A move between folders can leave a file in both of them.
      const known = done.get(node);
      const found = known ?? survivor(node, { survival, random, done });
      done.set(node, found);
      result.addSynced(name, found);
    }
    return result;
  }

  #decide(sequence: number, fate: () => "durable" | "dropped"): void {
    const count = this.#pending.findIndex((change) => change.sequence > sequence);
    const decided = count < 0 ? this.#pending : this.#pending.slice(0, count);
    for (const { entries } of decided) {
      if (fate() === "durable") applyEntries(this.#synced, entries);
    }
    this.#pending = count < 0 ? [] : this.#pending.slice(count);
  }
}

function survivor(
  node: SimNode,
  cut: { survival: Survival; random: () => number; done: Map<SimNode, SimNode> },
): SimNode {
  if (node.kind === "file") return node.afterPowerCut(cut.survival, cut.random);
  return node.afterPowerCut(cut.survival, cut.random, cut.done);
}

function applyEntries(
  target: Map<string, SimNode>,
  entries: ReadonlyMap<string, SimNode | undefined>,
): void {
  for (const [name, node] of entries) {
    if (node === undefined) target.delete(name);
    else target.set(name, node);
  }
}
