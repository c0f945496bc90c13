import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, statfsSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** A small ext4 in a file, to be filled: a real file system, unlike one in memory. Linux, as root. */
export class SmallDisk {
  /** Where it is mounted. */
  readonly dir: string;
  readonly #image: string;

  private constructor(dir: string) {
    this.dir = dir;
    this.#image = `${dir}.img`;
  }

  /** Why there can be none here; undefined when there can. */
  static whyNot(dir: string): string | undefined {
    if (process.platform !== "linux" || process.getuid?.() !== 0) return "needs root on Linux";
    try {
      SmallDisk.make(join(dir, "probe"), 8).close();
      return undefined;
    } catch {
      return "needs loop devices and mkfs.ext4";
    }
  }

  static make(dir: string, mib: number): SmallDisk {
    const disk = new SmallDisk(dir);
    mkdirSync(dir, { recursive: true });
    writeFileSync(disk.#image, "");
    truncateSync(disk.#image, mib * 2 ** 20);
    run("mkfs.ext4", "-q", "-m", "0", disk.#image);
    run("mount", "-o", "loop", disk.#image, dir);
    return disk;
  }

  /** Leaves no room, whatever others free meanwhile stays theirs. */
  fill(): void {
    const { bavail, bsize } = statfsSync(this.dir);
    const bytes = bavail * bsize;
    if (bytes === 0) return;
    try {
      run("fallocate", "-l", `${bytes}`, this.#ballast);
    } catch {
      // Blocks that hold the map of the file itself are not counted before: what could be had is taken.
    }
  }

  /** Gives the room back. */
  empty(): void {
    rmSync(this.#ballast, { force: true });
  }

  close(): void {
    try {
      run("umount", this.dir);
    } finally {
      rmSync(this.#image, { force: true });
      rmSync(this.dir, { recursive: true, force: true });
    }
  }

  get #ballast(): string {
    return join(this.dir, "ballast");
  }
}

function run(command: string, ...args: readonly string[]): void {
  execFileSync(command, args, { stdio: ["ignore", "ignore", "pipe"] });
}
