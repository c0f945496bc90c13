import type { Journal } from "../../src/journal/journal.ts";
import type { SimFileSystem } from "../support/sim-file-system.ts";
import { append, entry, openWithReplicas, payloadOf } from "./journal-harness.ts";

/** Small files, so that a test gives them a second use. */
export const SMALL = { fileBytes: 32 * 1024 };

/** A journal of such files, with so many replicas. */
export const opened = (replicas = 2) => openWithReplicas(replicas, SMALL);

/** Appends so many 2 KiB entries to replica 1. */
export async function appendMany(journal: Journal, count: number): Promise<void> {
  for (let done = 0; done < count; done += 1) {
    const index = journal.lastIndex(1) + 1;
    await append(journal, [entry(1, index, payloadOf(1, index, 2000))]);
  }
}

/** Files of the disk whose names end so. */
export function names(fs: SimFileSystem, suffix: string): string[] {
  return [...fs.dump().keys()].filter((name) => name.endsWith(suffix));
}
