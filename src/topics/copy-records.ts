import { ProglogError } from "../base/errors.ts";
import type { Log } from "../storage/log.ts";
import type { CopySource } from "./machine.ts";

/**
 * Appends to `log` what it lacks up to `nextOffset`, as a replica that has it sends it, and syncs it. What an
 * attempt before has brought stays: this one goes on after it.
 *
 * @throws what the source says; MESSAGE_INVALID for frames that are not sound; OFFSET_OUT_OF_RANGE when it ends
 *   early; what `signal` was aborted with
 */
export async function copyRecords(
  log: Log,
  { nextOffset, copy, signal }: CopySource & { readonly nextOffset: number },
): Promise<void> {
  if (log.nextOffset < nextOffset) {
    for await (const piece of copy(log.nextOffset, nextOffset)) {
      signal.throwIfAborted();
      log.appendCopied(piece);
      while (!log.hasRoom()) await log.whenRoom();
    }
  }
  if (log.nextOffset !== nextOffset) {
    throw new ProglogError(
      "OFFSET_OUT_OF_RANGE",
      `Cannot take a snapshot: the records end at offset ${log.nextOffset}, wanted ${nextOffset}`,
      { metadata: { offset: `${nextOffset}` } },
    );
  }
  await log.written();
  signal.throwIfAborted();
  await log.sync();
}
