import { platformCode } from "../../src/base/errors.ts";
import type { OpenOptions } from "../../src/platform/file-system.ts";
import { SimDirNode, SimFileNode, type SimNode, type Survival } from "./sim-disk.ts";
import { type SimOperation, simError } from "./sim-faults.ts";

/** The folders of a simulated disk: paths, and what may be done to them. Nothing here takes time. */
export class SimTree {
  #root = new SimDirNode();

  /** Leaves what a power cut leaves. */
  cutPower(survival: Survival, random: () => number): void {
    this.#root = this.#root.afterPowerCut(survival, random);
  }

  /** Puts a file there as if it had always been there. */
  addSynced(path: string, content: Uint8Array): void {
    const parts = split(path);
    const name = parts.pop() ?? "";
    let dir = this.#root;
    for (const part of parts) {
      const found = dir.live.get(part) ?? new SimDirNode();
      if (found.kind === "file") throw simError("ENOTDIR", "open", path);
      dir.addSynced(part, found);
      dir = found;
    }
    dir.addSynced(name, new SimFileNode(content.slice()));
  }

  /** All files with their paths, in byte order of the names. */
  files(): Generator<[string, SimFileNode]> {
    return walk(this.#root, "");
  }

  list(dir: string): readonly string[] {
    return sortNames([...this.dir(dir, "list").live.keys()]);
  }

  makeDir(dir: string): void {
    let parent = this.#root;
    for (const part of split(dir)) {
      const found = parent.live.get(part);
      const child = found ?? new SimDirNode();
      if (child.kind === "file") throw simError("EEXIST", "makeDir", dir);
      if (found === undefined) parent.change(new Map([[part, child]]));
      parent = child;
    }
  }

  open(path: string, { mode }: OpenOptions): SimFileNode {
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

  rename(from: string, to: string): void {
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

  remove(path: string): void {
    if (!this.exists(path)) return;
    const { dir, name } = this.#place(path, "remove");
    if (dir.live.get(name)?.kind === "dir") throw simError("EISDIR", "remove", path);
    dir.change(new Map([[name, undefined]]));
  }

  /** @param keeps says of each name whether it stays, as when the removal stops midway */
  removeDir(path: string, keeps: () => boolean = () => false): void {
    if (!this.exists(path)) return;
    const { dir, name } = this.#place(path, "removeDir");
    removeName(dir, name, keeps);
  }

  exists(path: string): boolean {
    try {
      return this.#find(path, "exists") !== undefined;
    } catch (error) {
      if (platformCode(error) === "ENOTDIR") return false;
      throw error;
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

  /** The folder at `path`. */
  dir(path: string, op: SimOperation): SimDirNode {
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
    return { dir: this.dir(parts.join("/"), op), name };
  }
}

function removeName(dir: SimDirNode, name: string, keeps: () => boolean): void {
  const node = dir.live.get(name);
  if (node?.kind === "dir") for (const child of node.live.keys()) removeName(node, child, keeps);
  if (keeps() || (node?.kind === "dir" && node.live.size > 0)) return;
  dir.change(new Map([[name, undefined]]));
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
