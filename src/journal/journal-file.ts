import { assert } from "../base/assert.ts";
import type { Position } from "../base/units.ts";
import type { File } from "../platform/file-system.ts";
import { BLOCK_BYTES, FIRST_FLUSH, type FileHead } from "./flush.ts";
import { synced } from "./journal-errors.ts";

/** Zeros that allocation writes from; one call writes at most so much. */
const ZEROS = new Uint8Array(1024 * 1024);

export interface JournalFileParts extends FileHead {
  readonly plain: File;
  /** The same file, opened so that each write is durable when it resolves. */
  readonly durable: File | undefined;
  readonly sizeBytes: number;
  /** End of its last flush. Default: it has none. */
  readonly endPosition?: number;
}

/** One open file of the journal. */
export class JournalFile {
  readonly sequence: number;
  readonly salt: number;
  readonly #plain: File;
  readonly #durable: File | undefined;
  #allocatedBytes: number;
  #endPosition: number;
  #readerCount = 0;

  constructor(parts: JournalFileParts) {
    this.sequence = parts.sequence;
    this.salt = parts.salt;
    this.#plain = parts.plain;
    this.#durable = parts.durable;
    this.#allocatedBytes = Math.floor(parts.sizeBytes / BLOCK_BYTES) * BLOCK_BYTES;
    this.#endPosition = parts.endPosition ?? FIRST_FLUSH;
  }

  /** Bytes that the file has on the disk, so that writing there needs no room and no change of its size. */
  get allocatedBytes(): number {
    return this.#allocatedBytes;
  }

  /** Where the next flush goes. */
  get endPosition(): number {
    return this.#endPosition;
  }

  /** True when no flush was written to it. */
  get isUnused(): boolean {
    return this.#endPosition === FIRST_FLUSH;
  }

  /**
   * Writes a flush at the end, durably when `isSynced`. After an error the end is where it was, so
   * the same flush can be written again.
   */
  async writeFlush(parts: readonly Uint8Array[], bytes: number, isSynced: boolean): Promise<void> {
    const end = this.#endPosition + bytes;
    assert(end <= this.#allocatedBytes, `Flush to ${end} is beyond what is allocated`);
    const at = this.#endPosition as Position;
    if (!isSynced) {
      await this.#plain.write(parts, at);
    } else if (this.#durable !== undefined) {
      await this.#durable.write(parts, at);
    } else {
      await this.#plain.write(parts, at);
      await synced(this.#plain.sync());
    }
    this.#endPosition = end;
  }

  /** Makes all flushes durable that were written without. */
  sync(): Promise<void> {
    return this.#plain.sync();
  }

  /** Fills the file with zeros up to `bytes`, durably. After an error what was filled before counts. */
  async allocate(bytes: number): Promise<void> {
    let at = this.#allocatedBytes;
    while (at < bytes) {
      const count = Math.min(ZEROS.length, bytes - at);
      await this.#plain.write([ZEROS.subarray(0, count)], at as Position);
      at += count;
    }
    await synced(this.#plain.sync());
    this.#allocatedBytes = Math.max(this.#allocatedBytes, at);
  }

  async read(target: Uint8Array, at: number): Promise<number> {
    this.#readerCount += 1;
    try {
      return await this.#plain.read(target, at as Position);
    } finally {
      this.#readerCount -= 1;
    }
  }

  /** True while somebody reads: the file must not get a new use. */
  get isRead(): boolean {
    return this.#readerCount > 0;
  }

  async close(): Promise<void> {
    await this.#durable?.close();
    await this.#plain.close();
  }
}
