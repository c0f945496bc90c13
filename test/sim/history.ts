/**
 * What clients did and what they were told: the evidence that a run is judged by. One event a line as JSON;
 * `porcupine/history.go` reads it. The order of the lines is the order in real time.
 */

export type OperationName =
  /** Append a batch; the same operation when it is tried again with its producer's sequence. */
  | "produce"
  /** Send a batch again that was acknowledged. */
  | "resend"
  /** Read from an offset to the end, seeing all that was acknowledged before. */
  | "read"
  /** Ask where the topic begins and ends, seeing all that was acknowledged before. */
  | "end"
  | "trim";

/** An operation begins. */
export interface Invocation {
  readonly client: string;
  /** Server that the client talks to. */
  readonly node: string;
  /** Name and id, since a name can be given to another topic. */
  readonly topic: string;
  readonly op: OperationName;
  /** Of produce and resend: number of the batch, unique in the run, and its records. */
  readonly batch?: number;
  readonly count?: number;
  /** Condition of a produce. */
  readonly expected?: number | undefined;
  /** Of trim. */
  readonly before?: number;
}

/** "none": it changed nothing, for certain. "unknown": it did or did not, or will yet. */
export type Outcome = "ok" | "none" | "unknown";

/** An operation ends. */
export interface Completion {
  readonly outcome: Outcome;
  /** Of the refusal. */
  readonly reason?: string;
  /** Of produce and resend: offset of the first record. */
  readonly first?: number;
  /** Of end, read and trim. */
  readonly start?: number;
  readonly next?: number;
  /** Of read: what was read, from an offset on; batch and place in it, one record each. */
  readonly from?: number;
  readonly records?: readonly (readonly [batch: number, place: number])[];
}

/** What a topic holds when all is over. */
export interface FinalContent {
  readonly topic: string;
  readonly start: number;
  readonly next: number;
  /** All records that ever were, from offset 0 on, trimmed ones too: tells what became of operations without an answer. */
  readonly all: readonly (readonly [batch: number, place: number])[];
}

/** One operation from both ends. */
export interface Operation extends Invocation {
  readonly id: number;
  readonly atMs: number;
  completion: Completion | undefined;
}

export class History {
  readonly #now: () => number;
  readonly #lines: string[] = [];
  readonly #operations: Operation[] = [];

  /** @param now simulated milliseconds */
  constructor(now: () => number) {
    this.#now = now;
  }

  get operations(): readonly Operation[] {
    return this.#operations;
  }

  /** @returns the operation, to be completed */
  invoke(invocation: Invocation): Operation {
    const id = this.#operations.length + 1;
    const operation: Operation = {
      ...invocation,
      id,
      atMs: this.#now(),
      completion: undefined,
    };
    this.#operations.push(operation);
    this.#write({ event: "invoke", id, atMs: operation.atMs, ...invocation });
    return operation;
  }

  /** @throws when it has ended before */
  complete(operation: Operation, completion: Completion): void {
    if (operation.completion !== undefined) throw new Error(`Operation ${operation.id} ends twice`);
    operation.completion = completion;
    this.#write({ event: "return", id: operation.id, atMs: this.#now(), ...completion });
  }

  /** What a topic holds when all is over: told once all operations have ended or never will. */
  final(content: FinalContent): void {
    this.#write({ event: "final", ...content });
  }

  lines(): readonly string[] {
    return this.#lines;
  }

  #write(event: object): void {
    this.#lines.push(JSON.stringify(event));
  }
}
