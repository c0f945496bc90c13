import type { Abortable } from "../base/abortable.ts";
import { bytesEqual, viewOf, writeU64 } from "../base/bytes.ts";
import { ProglogError } from "../base/errors.ts";

export interface ReadsParts {
  readonly replicaId: number;
  /** Makes contexts of this life different from those of earlier ones. */
  readonly firstContext: number;
  readonly tick: () => number;
  readonly retryTicks: number;
  /** When its deadline comes without an answer after so many, that is why a read fails. */
  readonly silentTicks: number;
  readonly ticksMax: number;
  /** Asks the core; the answer comes to {@link Reads.confirmed}, or never. */
  readonly ask: (context: Uint8Array) => void;
}

interface Reader {
  readonly beganTick: number;
  readonly resolve: () => void;
  readonly reject: (error: ProglogError) => void;
  /** Only what the leader said is to be applied here yet. */
  isConfirmed: boolean;
  isSettled: boolean;
  leave: () => void;
}

interface Asked {
  readonly context: Uint8Array;
  readonly readers: readonly Reader[];
  readonly tick: number;
}

/**
 * Who waits to read what was acknowledged before the call. Those that come while a question is under way
 * share the next one: the present one may have been answered before they came.
 */
export class Reads {
  readonly #parts: ReadsParts;
  #nextContext: number;
  #gathered: Reader[] = [];
  #asked: Asked | undefined;
  /** Wait until that index is applied. */
  #confirmed: { readonly index: number; readonly readers: readonly Reader[] }[] = [];
  #isScheduled = false;

  constructor(parts: ReadsParts) {
    this.#parts = parts;
    this.#nextContext = parts.firstContext;
  }

  get isIdle(): boolean {
    const isAsked = this.#asked !== undefined || this.#gathered.length > 0;
    return !isAsked && this.#confirmed.length === 0;
  }

  /**
   * @throws NO_QUORUM when nobody confirms it for long, or nobody has when the caller's deadline comes; otherwise
   *   what the caller says
   */
  wait(caller?: Abortable): Promise<void> {
    const reason = caller?.reason;
    if (reason !== undefined) return Promise.reject(reason);
    return new Promise((resolve, reject) => {
      const beganTick = this.#parts.tick();
      const reader: Reader = {
        ...{ beganTick, resolve, reject },
        ...{ isConfirmed: false, isSettled: false, leave: () => {} },
      };
      this.#gathered.push(reader);
      if (caller !== undefined) {
        reader.leave = caller.whenAborted(() => {
          if (caller.reason !== undefined) settle(reader, this.#whyGivenUp(reader, caller.reason));
        });
      }
      this.#schedule();
    });
  }

  /** The core confirmed a question: those who asked wait for `index` to be applied. */
  confirmed(index: number, context: Uint8Array): void {
    if (this.#asked === undefined || !bytesEqual(this.#asked.context, context)) return;
    for (const reader of this.#asked.readers) reader.isConfirmed = true;
    this.#confirmed.push({ index, readers: this.#asked.readers });
    this.#asked = undefined;
    this.#schedule();
  }

  /** Entries up to `index` are applied. */
  applied(index: number): void {
    if (this.#confirmed.length === 0) return;
    const due = this.#confirmed.filter((waiting) => waiting.index <= index);
    if (due.length === 0) return;
    this.#confirmed = this.#confirmed.filter((waiting) => waiting.index > index);
    for (const { readers } of due) for (const reader of readers) settle(reader);
  }

  /** Asks again what was not answered, and gives up what nobody answers. */
  tick(): void {
    const now = this.#parts.tick();
    if (this.#asked !== undefined && now - this.#asked.tick >= this.#parts.retryTicks) {
      this.#gathered = [...this.#asked.readers, ...this.#gathered];
      this.#asked = undefined;
    }
    if (this.#asked !== undefined || this.#gathered.length === 0) return;
    const [old, young] = split(this.#gathered, now - this.#parts.ticksMax);
    this.#gathered = young;
    for (const reader of old) settle(reader, noQuorum());
    this.#askGathered();
  }

  stop(reason: ProglogError): void {
    const all = [this.#gathered, this.#asked?.readers ?? []];
    for (const { readers } of this.#confirmed) all.push([...readers]);
    this.#gathered = [];
    this.#asked = undefined;
    this.#confirmed = [];
    for (const reader of all.flat()) settle(reader, reason);
  }

  #whyGivenUp(reader: Reader, reason: ProglogError): ProglogError {
    const ticks = this.#parts.tick() - reader.beganTick;
    const isSilence = reason.reason === "DEADLINE_EXCEEDED" && ticks >= this.#parts.silentTicks;
    return isSilence && !reader.isConfirmed ? noQuorum() : reason;
  }

  /** Those that come in the same turn share a question. */
  #schedule(): void {
    if (this.#isScheduled || this.#asked !== undefined || this.#gathered.length === 0) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      this.#askGathered();
    });
  }

  #askGathered(): void {
    const readers = this.#gathered.filter(({ isSettled }) => !isSettled);
    if (this.#asked !== undefined) return;
    this.#gathered = [];
    if (readers.length === 0) return;
    const context = new Uint8Array(16);
    const view = viewOf(context);
    writeU64(view, 0, this.#parts.replicaId);
    writeU64(view, 8, this.#nextContext);
    this.#nextContext += 1;
    this.#asked = { context, readers, tick: this.#parts.tick() };
    this.#parts.ask(context);
  }
}

function settle(reader: Reader, error?: ProglogError): void {
  if (reader.isSettled) return;
  reader.isSettled = true;
  reader.leave();
  if (error === undefined) reader.resolve();
  else reader.reject(error);
}

/** Those who began before that tick, and the others. */
function split(readers: readonly Reader[], tick: number): [Reader[], Reader[]] {
  return [
    readers.filter(({ beganTick }) => beganTick < tick),
    readers.filter(({ beganTick }) => beganTick >= tick),
  ];
}

function noQuorum(): ProglogError {
  const message = "Cannot read the latest state: no leader confirmed it, a majority must answer";
  return new ProglogError("NO_QUORUM", message);
}
