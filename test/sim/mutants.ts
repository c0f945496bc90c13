import type { File, FileSystem } from "../../src/platform/file-system.ts";
import type { CoreMessage, CoreReady } from "../../src/raft/core.ts";
import { CoreRole } from "../../src/raft/core.ts";
import { PassingCore, PassingGroup } from "./passing-core.ts";
import type { ServerParts } from "./server.ts";

/**
 * Servers with one rule broken. A simulation that finds nothing with one of them proves nothing without them. Each
 * stands where the rule is kept: between the server and Raft's core, or its disk.
 */
export const MUTANTS: Readonly<Record<string, (parts: ServerParts) => ServerParts>> = {
  "forgets whom it voted for when it starts": withGroups((core, config) => {
    const { hardState } = config;
    return new PassingGroup(core.open({ ...config, hardState: { ...hardState, vote: 0 } }));
  }),
  "acknowledges before others have it": withGroups(
    (core, config) => new LonelyGroup(core.open(config)),
  ),
  "reads without asking whether it still leads": withGroups(
    (core, config) => new StaleGroup(core.open(config)),
  ),
  "has a disk that syncs nothing of the journal": (parts) => ({ ...parts, fs: lazyDisk(parts.fs) }),
};

function withGroups(
  wrap: ConstructorParameters<typeof PassingCore>[1],
): (parts: ServerParts) => ServerParts {
  return (parts) => ({ ...parts, core: new PassingCore(parts.core, wrap) });
}

const NOTHING: readonly CoreMessage[] = [];

/** As a leader it takes whatever it appends to be committed. */
class LonelyGroup extends PassingGroup {
  #isLeader = false;
  #early = 0;

  override ready(): CoreReady | undefined {
    const ready = super.ready();
    if (ready === undefined) return undefined;
    if (ready.soft !== undefined) this.#isLeader = ready.soft.role === CoreRole.leader;
    const last = ready.entries.at(-1)?.index ?? 0;
    if (ready.commitLast > this.#early) {
      const commitFirst = Math.max(ready.commitFirst, this.#early + 1);
      this.#early = ready.commitLast;
      return { ...ready, commitFirst };
    }
    // What is committed now was so before: the core wants to hear that it is applied.
    if (ready.applyJob !== 0) super.jobDone(ready.applyJob);
    const isEarly = this.#isLeader && this.#early > 0 && last > this.#early;
    const first = this.#early + 1;
    if (isEarly) this.#early = last;
    return isEarly
      ? { ...ready, commitFirst: first, commitLast: last, applyJob: -1 }
      : { ...ready, commitFirst: 0, commitLast: 0, applyJob: 0 };
  }

  override jobDone(job: number): readonly CoreMessage[] {
    return job < 0 ? NOTHING : super.jobDone(job);
  }
}

class StaleGroup extends PassingGroup {
  #contexts: Uint8Array[] = [];

  override get hasReady(): boolean {
    return super.hasReady || this.#contexts.length > 0;
  }

  override readIndex(context: Uint8Array): void {
    this.#contexts.push(context.slice());
  }

  override ready(): CoreReady | undefined {
    const reads = this.#contexts.map((context) => ({ index: 0, context }));
    const ready = super.ready();
    if (reads.length === 0) return ready;
    this.#contexts = [];
    const nothing = { entries: [], appendJob: 0, commitFirst: 0, commitLast: 0, applyJob: 0 };
    const base = ready ?? { ...nothing, messages: NOTHING, reads: [] };
    return { ...base, reads: [...base.reads, ...reads] };
  }
}

function lazyDisk(fs: FileSystem): FileSystem {
  return {
    list: (dir) => fs.list(dir),
    makeDir: (dir) => fs.makeDir(dir),
    rename: (from, to) => fs.rename(from, to),
    remove: (path) => fs.remove(path),
    removeDir: (dir) => fs.removeDir(dir),
    exists: (path) => fs.exists(path),
    syncDir: (dir) => fs.syncDir(dir),
    open: async (path, options) => {
      if (!path.startsWith("journal/")) return await fs.open(path, options);
      return withoutSync(await fs.open(path, { ...options, syncWrites: false }));
    },
  };
}

function withoutSync(file: File): File {
  return {
    size: () => file.size(),
    read: (target, at) => file.read(target, at),
    write: (parts, at) => file.write(parts, at),
    truncate: (bytes) => file.truncate(bytes),
    sync: () => Promise.resolve(),
    close: () => file.close(),
  };
}
