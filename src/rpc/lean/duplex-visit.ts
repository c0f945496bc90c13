import type { ConnectError } from "@connectrpc/connect";
import type { ProglogError } from "../../base/errors.ts";
import type { HttpBody } from "../../platform/http-options.ts";
import { silentError } from "../body-source.ts";
import { compressedError, unreadableError } from "../library-errors.ts";
import { EnvelopeReader } from "./envelope-reader.ts";
import type { Exchange } from "./exchange.ts";
import type { LeanHouse } from "./lean-house.ts";
import type { DuplexOutput, DuplexReceiver, LeanDuplex } from "./lean-method.ts";
import type { Output } from "./output.ts";
import type { Silence } from "./silence-watch.ts";
import { StreamVisit } from "./stream-visits.ts";
import { isCut } from "./whole-body.ts";

/** A call on which both sides send: see {@link LeanDuplex}. */
export class DuplexVisit extends StreamVisit implements Silence {
  dueMs = 0;
  readonly #method: LeanDuplex;
  readonly #reader: EnvelopeReader;
  #receiver: DuplexReceiver | undefined;
  #isWatched = false;
  #isEnded = false;

  constructor(method: LeanDuplex, exchange: Exchange, body: HttpBody, house: LeanHouse) {
    super(exchange, body, house);
    this.#method = method;
    this.#reader = new EnvelopeReader({
      endFlag: exchange.dialect.endFlag,
      requestBytesMax: method.messageBytesMax,
      compressed: () => compressedError(house.errors, exchange.call),
    });
  }

  start(): void {
    const { call } = this.exchange;
    const output = new FinishedOutput(this.output, (error) => this.#finish(error));
    try {
      this.#receiver = this.#method.open(output, this.exchange);
    } catch (thrown) {
      this.fail(thrown);
      return;
    }
    call.whenOver(() => this.#over());
    this.body.on("data", this.#onData);
    this.body.on("end", this.#onEnd);
    call.whenAborted(() => this.fail(call.reason));
  }

  /** Of no use: what comes goes to the receiver. */
  serve(): void {}

  override end(error: ConnectError | undefined): void {
    this.#isEnded = true;
    this.#watchSilence();
    this.body.off("data", this.#onData);
    this.body.off("end", this.#onEnd);
    super.end(error);
  }

  /** A message that has begun does not go on. */
  expire(): void {
    this.fail(silentError(this.house.limits.bodyTimeoutMs));
  }

  #finish(error: ProglogError | undefined): void {
    if (error === undefined) this.finish();
    else this.fail(error);
  }

  #over(): void {
    this.#isEnded = true;
    this.#watchSilence();
    this.#receiver?.closed();
    this.#receiver = undefined;
  }

  readonly #onData = (chunk: Uint8Array): void => {
    if (this.#isEnded) return;
    const messages: Uint8Array[] = [];
    const error = this.#reader.read(chunk, messages);
    try {
      this.#receiver?.receive(messages, chunk.length);
    } catch (thrown) {
      this.fail(thrown);
      return;
    }
    if (error !== undefined) this.fail(error);
    else this.#watchSilence();
  };

  readonly #onEnd = (): void => {
    if (this.#isEnded || isCut(this.body)) return;
    if (this.#reader.restBytes > 0) {
      this.fail(unreadableError("protocol error: incomplete envelope"));
    } else {
      this.finish();
    }
  };

  #watchSilence(): void {
    const isDue = this.#reader.restBytes > 0 && !this.#isEnded;
    if (isDue && !this.#isWatched) this.house.silence.watch(this);
    else if (isDue) this.house.silence.touch(this);
    else if (this.#isWatched) this.house.silence.leave(this);
    this.#isWatched = isDue;
  }
}

/** An answer that its handler ends itself. */
class FinishedOutput implements DuplexOutput {
  readonly #output: Output;
  readonly finish: (error?: ProglogError) => void;

  constructor(output: Output, finish: (error?: ProglogError) => void) {
    this.#output = output;
    this.finish = finish;
  }

  get isClosed(): boolean {
    return this.#output.isClosed;
  }

  write(message: Parameters<Output["write"]>[0]): boolean {
    return this.#output.write(message);
  }

  whenRoom(): Promise<void> {
    return this.#output.whenRoom();
  }
}
