import type { ProglogError } from "../../base/errors.ts";
import type { LeanCall } from "./lean-call.ts";

/**
 * A message in its protobuf encoding, as parts that go out one after the other. Nobody
 * changes the bytes afterwards: many calls may send the same parts.
 */
export interface Encoded {
  readonly parts: readonly Uint8Array[];
  /** Bytes of all parts. */
  readonly byteLength: number;
  /** The same in one piece with an envelope around it, where that costs nothing: large messages. */
  readonly enveloped?: Uint8Array;
  /** To be called, or not, when the bytes are out and nobody needs them any more. */
  readonly onSent?: (() => void) | undefined;
}

/** What came of a client's stream since the last look: whole messages, undecoded. */
export type Messages = readonly Uint8Array[];

/** Where a streaming method puts its answer. */
export interface LeanOutput {
  /**
   * Sends a message, or gathers it with others of the same turn of the event loop.
   * @returns false when the client is slow: await {@link whenRoom} before the next one
   */
  write(message: Encoded): boolean;
  /** Resolves when the client has taken enough, and when the call is over. */
  whenRoom(): Promise<void>;
  /** True when the call is over: nobody takes anything any more. */
  readonly isClosed: boolean;
}

/** A method that the lean path serves. Handlers throw ProglogError or ConnectError. */
export type LeanMethod = LeanUnary | LeanServerStreaming | LeanBidiStreaming | LeanDuplex;

export interface LeanUnary {
  readonly kind: "unary";
  /** @param body the request message; valid as long as it is referred to */
  readonly answer: (body: Uint8Array, call: LeanCall) => Encoded | Promise<Encoded>;
  /** Finds another answer than the error that `answer` ended with; undefined: there is none. */
  readonly retry?: (
    body: Uint8Array,
    call: LeanCall,
    thrown: unknown,
  ) => Promise<Encoded> | undefined;
}

export interface LeanServerStreaming {
  readonly kind: "server_streaming";
  /** The stream ends when the promise settles: with its error, or well. */
  readonly run: (body: Uint8Array, output: LeanOutput, call: LeanCall) => Promise<void>;
}

export interface LeanBidiStreaming {
  readonly kind: "bidi_streaming";
  /** `input` gives what has come together as one item, so that a burst of small messages costs one step. */
  readonly run: (
    input: AsyncIterable<Messages>,
    output: LeanOutput,
    call: LeanCall,
  ) => Promise<void>;
}

/**
 * Both sides send as they like, for as long as they like. What comes is handed on at once, in the
 * connection's own call, so that nothing waits here and a burst costs one step.
 */
export interface LeanDuplex {
  readonly kind: "duplex";
  /** Bytes of one message that comes. */
  readonly messageBytesMax: number;
  readonly open: (output: DuplexOutput, call: LeanCall) => DuplexReceiver;
}

export interface DuplexOutput extends LeanOutput {
  /** Ends the call, well or with an error; what comes after that is dropped. */
  finish(error?: ProglogError): void;
}

export interface DuplexReceiver {
  /**
   * Takes a piece of the stream. What it throws ends the call.
   * @param messages those that the piece completes, undecoded; may be none
   * @param byteCount bytes of the piece, with what frames messages
   */
  receive(messages: Messages, byteCount: number): void;
  /** The call is over, whoever ended it: called once. */
  closed(): void;
}
