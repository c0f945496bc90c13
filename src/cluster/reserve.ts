import { hasReason } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import { KIB, toPosition } from "../base/units.ts";
import type { FileSystem } from "../platform/file-system.ts";
import { namingPlatformErrors } from "../storage/storage-errors.ts";

/** A file of no use but its size. */
const RESERVE_NAME = "reserve";
/** Pays for a few checkpoints of trimmed topics, each a block or two. */
const RESERVE_BYTES = 64 * KIB;

/**
 * Space that is kept for getting out of a full disk: deleting trimmed files takes a
 * new checkpoint first, and a start takes a lock file. Best effort: whoever else writes
 * to the disk may be faster.
 */
export class Reserve {
  readonly #fs: FileSystem;
  readonly #random: Random;

  constructor(fs: FileSystem, random: Random) {
    this.#fs = fs;
    this.#random = random;
  }

  /**
   * Makes the file when it is missing; without room for it, does nothing.
   * @throws DISK_FAILED
   */
  async fill(): Promise<void> {
    try {
      await namingPlatformErrors("keep a reserve", () => this.#fill());
    } catch (error) {
      if (!hasReason(error, "DISK_FULL")) throw error;
      // A half made one would be taken for a whole one.
      await this.spend();
    }
  }

  /** Gives the space free. @throws DISK_FAILED */
  async spend(): Promise<void> {
    await namingPlatformErrors("use the reserve", () => this.#fs.remove(RESERVE_NAME));
  }

  async #fill(): Promise<void> {
    if (await this.#fs.exists(RESERVE_NAME)) return;
    const file = await this.#fs.open(RESERVE_NAME, { mode: "create" });
    try {
      // Zeros would take no space on some file systems, and nothing does before it is synced.
      await file.write([this.#random.bytes(RESERVE_BYTES)], toPosition(0));
      await file.sync();
    } finally {
      await file.close();
    }
    await this.#fs.syncDir("");
  }
}
