/** Everything that {@link SimFileSystem} and its files do, as faults and steps name it. */
export type SimOperation =
  | "list"
  | "makeDir"
  | "open"
  | "rename"
  | "remove"
  | "removeDir"
  | "exists"
  | "syncDir"
  | "size"
  | "read"
  | "write"
  | "truncate"
  | "sync"
  | "close";

/** Which operations are meant. A file's path is the one that it was opened by. */
export interface SimMatch {
  readonly op: SimOperation;
  readonly path?: RegExp;
  /** Matching operations to let pass first; default 0. */
  readonly after?: number;
  /** How many operations fail; default 1. */
  readonly times?: number;
}

/** Thrown by a step's callback to lose power there, and by everything of a life that has ended. */
export class SimCrash extends Error {
  override readonly name = "SimCrash";

  constructor(message = "The simulated machine has stopped") {
    super(message);
  }
}

interface FailRule {
  readonly match: SimMatch;
  readonly code: string;
  passes: number;
  failures: number;
}

interface Hold {
  readonly match: SimMatch;
  readonly released: Promise<void>;
  readonly release: () => void;
}

/** Faults and delays that a test has asked for. */
export class SimFaults {
  #rules: FailRule[] = [];
  readonly #holds = new Set<Hold>();

  fail(match: SimMatch, code: string): void {
    this.#rules.push({ match, code, passes: match.after ?? 0, failures: match.times ?? 1 });
  }

  clear(): void {
    this.#rules = [];
  }

  /**
   * The code that this operation must fail with, or undefined.
   * @param needsRoom false for what takes no room on a disk, so that it cannot fail for want of it
   */
  take(op: SimOperation, path: string, needsRoom: boolean): string | undefined {
    for (const rule of this.#rules) {
      if (!fits(rule.match, op, path) || (rule.code === "ENOSPC" && !needsRoom)) continue;
      if (rule.passes > 0) {
        rule.passes -= 1;
        continue;
      }
      rule.failures -= 1;
      if (rule.failures <= 0) this.#rules = this.#rules.filter((other) => other !== rule);
      return rule.code;
    }
    return undefined;
  }

  hold(match: SimMatch): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    const hold: Hold = { match, released: promise, release: resolve };
    this.#holds.add(hold);
    return () => {
      this.#holds.delete(hold);
      resolve();
    };
  }

  /** What this operation waits for before it may resolve. */
  heldBy(op: SimOperation, path: string): Promise<void> | undefined {
    for (const hold of this.#holds) if (fits(hold.match, op, path)) return hold.released;
    return undefined;
  }

  releaseAll(): void {
    for (const hold of this.#holds) hold.release();
    this.#holds.clear();
  }
}

function fits(match: SimMatch, op: SimOperation, path: string): boolean {
  return match.op === op && (match.path === undefined || match.path.test(path));
}

/** An error as the platform would throw it. */
export function simError(code: string, op: SimOperation, path: string): Error {
  return Object.assign(new Error(`${code}: simulated, ${op} "${path}"`), { code });
}
