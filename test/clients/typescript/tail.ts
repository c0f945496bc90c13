import { Code, ConnectError } from "@connectrpc/connect";
import type { ConsumedRecord } from "../../../src/gen/proglog/v1/record_pb.ts";
import type { Subject } from "./check.ts";

const WAIT_MS_MAX = 20_000;

/** A tail that reads in the background until it is cancelled or ends. */
export class Tail {
  readonly records: ConsumedRecord[] = [];
  /** Offset to go on at. */
  resumeOffset: bigint;
  /** Messages seen: the first comes at once. */
  messageCount = 0;
  /** How the stream ended; never rejects. */
  readonly end: Promise<ConnectError | undefined>;
  readonly #abort = new AbortController();
  #hasEnded = false;
  #wake: () => void = () => {};

  constructor({ log }: Subject, topic: string, from = 0n) {
    this.resumeOffset = from;
    const request = { topic, start: { case: "offset", value: from } } as const;
    this.end = this.#read(log.consumeStream(request, { signal: this.#abort.signal }));
  }

  /** Resolves when it has got so many records. @throws {Error} when it ends before, or after 20 s */
  seen(recordCount: number): Promise<void> {
    return this.#until(() => this.records.length >= recordCount, `${recordCount} records`);
  }

  /** Resolves with the first message, which says that the server has begun. */
  begun(): Promise<void> {
    return this.#until(() => this.messageCount > 0, "a first message");
  }

  /** Leaves the stream. @throws {Error} when it does not end as cancelled */
  async cancel(): Promise<void> {
    this.#abort.abort();
    const error = await this.end;
    if (error?.code !== Code.Canceled) throw new Error(`A cancelled tail ended with ${error}`);
  }

  async #read(
    stream: ReturnType<Subject["log"]["consumeStream"]>,
  ): Promise<ConnectError | undefined> {
    try {
      for await (const { records, resumeOffset } of stream) {
        this.records.push(...records);
        this.resumeOffset = resumeOffset;
        this.messageCount += 1;
        this.#wake();
      }
      return undefined;
    } catch (thrown) {
      return ConnectError.from(thrown);
    } finally {
      this.#hasEnded = true;
      this.#wake();
    }
  }

  async #until(isReached: () => boolean, what: string): Promise<void> {
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      this.#wake();
    }, WAIT_MS_MAX);
    try {
      while (!isReached()) {
        if (this.#hasEnded) throw new Error(`The tail ended before ${what}: ${await this.end}`);
        if (isLate) throw new Error(`The tail has ${this.records.length} records, no ${what}`);
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    } finally {
      clearTimeout(timer);
    }
  }
}
