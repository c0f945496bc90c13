import type { Clock } from "../base/clock.ts";
import { type CoreMessage, CoreMessageType } from "./core.ts";
import {
  messageEntries,
  messageEntryCount,
  messageIndex,
  messageTo,
  messageType,
  splitAppend,
} from "./core-messages.ts";
import { describedBytes } from "./entry-kinds.ts";
import type { LogTail } from "./log-tail.ts";
import type { RaftJournal } from "./raft-journal.ts";

export interface OutboxParts {
  readonly journal: RaftJournal;
  readonly replicaId: number;
  readonly tail: LogTail<unknown>;
  /** Bytes of payload in one message, if it has more than one entry. */
  readonly messageBytesMax: number;
  /** Messages of one replica that wait for payloads. */
  readonly waitingMax: number;
  readonly clock: Clock;
  /** So long an append message without entries may wait, in milliseconds; 0: not at all. */
  readonly commitHoldMs: number;
  /** @returns false when it was dropped */
  readonly send: (
    toReplica: number,
    message: CoreMessage,
    payloads: readonly Uint8Array[] | undefined,
  ) => boolean;
  /** A message to that replica was dropped: what follows it would leave a gap. */
  readonly onDropped: (toReplica: number) => void;
}

const NO_PAYLOAD = new Uint8Array(0);

/** An append message, and how many bytes of payload belong to each of its entries. */
interface Append {
  readonly message: CoreMessage;
  readonly sizes: readonly number[];
}

/** What waits for one replica. */
interface Line {
  readonly waiting: Append[];
}

/**
 * Sends what the core wants sent, append messages with the payloads of their entries: out of memory, or
 * out of the journal. Those to one replica leave in order; other messages do not wait for them.
 *
 * An append message without entries tells how far all is committed, and so does the next one with
 * entries: it is held for a moment, and does not leave when that one comes. Whatever else goes to
 * that replica takes it along.
 */
export class Outbox {
  readonly #parts: OutboxParts;
  readonly #lines = new Map<number, Line>();
  /** By replica. */
  readonly #held = new Map<number, CoreMessage>();
  #cancelTimer: (() => void) | undefined;
  #isClosed = false;

  constructor(parts: OutboxParts) {
    this.#parts = parts;
  }

  post(message: CoreMessage): void {
    const to = messageTo(message);
    if (messageType(message) !== CoreMessageType.append) {
      this.#release(to);
      this.#parts.send(to, message, undefined);
      return;
    }
    if (messageEntryCount(message) === 0) {
      if (this.#parts.commitHoldMs > 0) this.#hold(to, message);
      else this.#parts.send(to, message, undefined);
      return;
    }
    this.#held.delete(to);
    const sizes = messageEntries(message).map(({ type, data }) => describedBytes(type, data) ?? 0);
    const { messageBytesMax } = this.#parts;
    const bytes = sizes.reduce((sum, size) => sum + size, 0);
    if (bytes <= messageBytesMax || sizes.length === 1) {
      this.#postAppend(to, { message, sizes });
      return;
    }
    let at = 0;
    for (const part of splitAppend(message, sizes, messageBytesMax)) {
      const count = messageEntryCount(part);
      this.#postAppend(to, { message: part, sizes: sizes.slice(at, at + count) });
      at += count;
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#lines.clear();
    this.#held.clear();
    this.#cancelTimer?.();
  }

  /** The timer goes on from the first one that is held: however many follow, none waits longer. */
  #hold(to: number, message: CoreMessage): void {
    this.#held.set(to, message);
    this.#cancelTimer ??= this.#parts.clock.schedule(this.#parts.commitHoldMs, () => {
      this.#cancelTimer = undefined;
      for (const replica of [...this.#held.keys()]) this.#release(replica);
    });
  }

  #release(to: number): void {
    const message = this.#held.get(to);
    if (message === undefined) return;
    this.#held.delete(to);
    this.#parts.send(to, message, undefined);
  }

  #postAppend(to: number, append: Append): void {
    const line = this.#lines.get(to);
    if (line === undefined) {
      const payloads = this.#fromMemory(append);
      if (payloads === "gone") return;
      if (payloads !== undefined) {
        if (!this.#parts.send(to, append.message, payloads)) this.#parts.onDropped(to);
        return;
      }
      const made: Line = { waiting: [append] };
      this.#lines.set(to, made);
      this.#load(to, made);
    } else if (line.waiting.length < this.#parts.waitingMax) {
      line.waiting.push(append);
    } else {
      line.waiting.length = 0;
      this.#parts.onDropped(to);
    }
  }

  /** Undefined: some of it is in the journal only. "gone": there is another entry in its place. */
  #fromMemory({ message, sizes }: Append): readonly Uint8Array[] | undefined | "gone" {
    const payloads: Uint8Array[] = [];
    let at = 0;
    for (const { index, term } of messageEntries(message)) {
      const size = sizes[at] ?? 0;
      at += 1;
      if (size === 0) {
        payloads.push(NO_PAYLOAD);
        continue;
      }
      const entry = this.#parts.tail.at(index);
      if (entry?.payload === undefined && (entry === undefined || entry.term === term)) {
        return undefined;
      }
      if (entry?.term !== term || entry.payload?.length !== size) return "gone";
      payloads.push(entry.payload);
    }
    return payloads;
  }

  /** Sends what waits in a line, one after the other. */
  #load(to: number, line: Line): void {
    this.#sendWaiting(to, line).then(
      (isWhole) => this.#loaded(to, line, isWhole),
      // The journal tells its owner about damage when it is needed to go on; here the message is lost.
      () => this.#loaded(to, line, false),
    );
  }

  #loaded(to: number, line: Line, isWhole: boolean): void {
    if (this.#isClosed) return;
    if (isWhole && line.waiting.length > 0) {
      this.#load(to, line);
      return;
    }
    this.#lines.delete(to);
    if (!isWhole) this.#parts.onDropped(to);
  }

  /** @returns false when a message was dropped, and with it what waited behind */
  async #sendWaiting(to: number, line: Line): Promise<boolean> {
    for (let next = line.waiting.shift(); next !== undefined; next = line.waiting.shift()) {
      let payloads = this.#fromMemory(next);
      if (payloads === undefined) payloads = await this.#read(next);
      if (this.#isClosed) return true;
      if (payloads === "gone") return false;
      if (!this.#parts.send(to, next.message, payloads)) return false;
    }
    return true;
  }

  async #read({ message, sizes }: Append): Promise<readonly Uint8Array[] | "gone"> {
    const { journal, replicaId } = this.#parts;
    const entries = messageEntries(message);
    const first = messageIndex(message) + 1;
    const payloads: Uint8Array[] = [];
    for await (const read of journal.entries(replicaId, first, first + entries.length)) {
      const at = payloads.length;
      const entry = entries[at];
      const size = sizes[at] ?? 0;
      if (entry === undefined || read.index !== entry.index || read.term !== entry.term) {
        return "gone";
      }
      // The payload of a change of membership is in the message.
      if (size > 0 && read.payload.length !== size) return "gone";
      payloads.push(size === 0 ? NO_PAYLOAD : read.payload);
    }
    return payloads.length === entries.length ? payloads : "gone";
  }
}
