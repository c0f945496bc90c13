import { viewOf } from "../base/bytes.ts";
import type { File } from "../platform/file-system.ts";
import { diskFailed } from "../storage/storage-errors.ts";
import {
  BLOCK_BYTES,
  type DecodedFlushHeader,
  decodeFileHead,
  decodeFlushHeader,
  FIRST_FLUSH,
  type FileHead,
  flushBytes,
  HEADER_BYTES,
} from "./flush.ts";
import { checkFrames } from "./frames.ts";
import { journalUnsupported } from "./journal-errors.ts";
import { ReadWindow } from "./read-window.ts";

/** What must stand where the next flush is looked for. */
export interface ExpectedFlush {
  readonly number: number;
  readonly previousCrc: number;
}

export type FlushFound =
  | {
      readonly isValid: true;
      readonly header: DecodedFlushHeader;
      /** A view, good until the next read. */
      readonly frames: DataView;
      readonly bytes: number;
    }
  | {
      readonly isValid: false;
      /** For a person. */
      readonly why: string;
      /** True when there is a header of this file: a flush was begun here. */
      readonly isBegun: boolean;
    };

/** Reads one file of a journal that is being recovered. Changes nothing. */
export class FileScan {
  readonly sequence: number;
  readonly sizeBytes: number;
  readonly #window: ReadWindow;

  private constructor(sequence: number, file: File, sizeBytes: number) {
    this.sequence = sequence;
    this.sizeBytes = sizeBytes;
    this.#window = new ReadWindow(async (target, at) => {
      try {
        return await file.read(target, at);
      } catch (error) {
        throw diskFailed("read the journal", error);
      }
    });
  }

  static async of(sequence: number, file: File): Promise<FileScan> {
    return new FileScan(sequence, file, await file.size());
  }

  /**
   * @returns undefined when it is damaged, or is not that of the file of this name
   * @throws {ProglogError} DATA_DIR_INVALID for another version
   */
  async head(): Promise<FileHead | undefined> {
    const head = decodeFileHead(await this.#window.get(0, HEADER_BYTES));
    const place = { sequence: this.sequence, position: 0 };
    if (head === "unsupported") throw journalUnsupported(place);
    return head === "damaged" || head.sequence !== this.sequence ? undefined : head;
  }

  /**
   * Reads and checks the flush at `position`.
   * @param expected undefined: any number is fine
   * @throws {ProglogError} DATA_DIR_INVALID for a valid flush of another version
   */
  async flushAt(
    position: number,
    head: FileHead,
    expected: ExpectedFlush | undefined,
  ): Promise<FlushFound> {
    const header = decodeFlushHeader(await this.#window.get(position, HEADER_BYTES), head);
    const place = { sequence: this.sequence, position };
    if (header === "unsupported") throw journalUnsupported(place);
    if (header === "none") return invalid("no flush begins there", false);
    if (expected !== undefined && header.number !== expected.number) {
      return invalid(`flush ${header.number} is there instead of ${expected.number}`, true);
    }
    if (expected !== undefined && header.previousCrc !== expected.previousCrc) {
      return invalid("it does not follow the flush before it", true);
    }
    const start = position + HEADER_BYTES;
    // Before memory is taken for it: a header can be whole and its flush cut off.
    if (start + header.frameBytes > this.sizeBytes) return invalid("the flush is cut off", true);
    const frames = await this.#window.get(start, header.frameBytes);
    const checked = checkFrames(frames, header);
    if (checked === "unsupported") throw journalUnsupported(place);
    if (checked !== "valid") return invalid(checked, true);
    return {
      isValid: true,
      header,
      frames: viewOf(frames),
      bytes: flushBytes(header.frameBytes),
    };
  }

  /**
   * Calls `visit` with all headers of this file from `from` on, wherever a flush can begin, whether
   * its frames are whole or not: a header alone proves that what it claims was synced.
   *
   * @param salt undefined: any
   * @param visit ends the search by returning true
   * @throws {ProglogError} DATA_DIR_INVALID for another version
   */
  async headers(
    from: number,
    salt: number | undefined,
    visit: (header: DecodedFlushHeader, position: number) => boolean,
  ): Promise<void> {
    const file = { sequence: this.sequence, salt };
    for (let at = Math.max(from, FIRST_FLUSH); at < this.sizeBytes; at += BLOCK_BYTES) {
      const header = decodeFlushHeader(await this.#window.get(at, HEADER_BYTES), file);
      if (header === "unsupported") {
        throw journalUnsupported({ sequence: this.sequence, position: at });
      }
      if (header !== "none" && visit(header, at)) return;
    }
  }
}

function invalid(why: string, isBegun: boolean): FlushFound {
  return { isValid: false, why, isBegun };
}
