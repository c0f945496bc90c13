import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Clock } from "../../base/clock.ts";
import type { PeerHost } from "../../cluster/peer-host.ts";
import type { Hello, RouteSchema } from "../../gen/proglog/internal/v1/peer_service_pb.ts";
import { atEndOfTurn } from "../../platform/end-of-turn.ts";
import type { RaftEnvelope } from "../../raft/transport.ts";
import { malformed } from "../hot/decode-request.ts";
import type { DuplexOutput, DuplexReceiver, Encoded, Messages } from "../lean/lean-method.ts";
import { greeted, noMember, notGreeted } from "./peer-hello.ts";
import type { PeerLimits } from "./peer-limits.ts";
import type { PeerProcess, PeerProcesses } from "./peer-processes.ts";
import { PeerReader, type RequestListener } from "./peer-reader.ts";

/** What is told to a sender. */
export interface InboundAnswer {
  readonly receivedBytes: bigint;
  readonly refused: MessageInitShape<typeof RouteSchema>[];
  /** The sender's own clock, and ours when it came; 0: it did not say. */
  readonly echoedClockUnixUs: bigint;
  readonly clockUnixUs: bigint;
}

export interface InboundOptions {
  readonly host: PeerHost;
  readonly processes: PeerProcesses;
  readonly clock: Clock;
  readonly limits: PeerLimits;
  readonly output: DuplexOutput;
  readonly encode: (answer: InboundAnswer) => Encoded;
  /** The peer has said who it is, and may. */
  readonly onGreeted: (nodeId: string) => void;
  /** Something came from it. */
  readonly onHeard: (nodeId: string) => void;
  readonly onClosed: () => void;
}

/** A peer's stream to us. Its messages are handed on at once; it is told how much was received. */
export class InboundStream implements DuplexReceiver, RequestListener {
  readonly #options: InboundOptions;
  readonly #reader: PeerReader;
  #nodeId: string | undefined;
  #process: PeerProcess | undefined;
  #receivedBytes = 0;
  #toldBytes = 0;
  #refused: MessageInitShape<typeof RouteSchema>[] = [];
  #echoedClockUs = 0;
  #clockUs = 0;
  #hasMessages = false;
  /** An answer is due: at the end of the turn, or when there is room for it. */
  #isDue = false;

  constructor(options: InboundOptions) {
    this.#options = options;
    this.#reader = new PeerReader(options.limits.requestMessagesMax);
  }

  receive(messages: Messages, byteCount: number): void {
    const { host, limits, onHeard } = this.#options;
    // One that was removed meanwhile is to notice it.
    if (this.#nodeId !== undefined && !host.admits(this.#nodeId)) throw noMember(this.#nodeId);
    this.#process?.heard();
    this.#receivedBytes += byteCount;
    let wantsAnswer = this.#receivedBytes - this.#toldBytes >= limits.acknowledgeBytes;
    for (const message of messages) {
      this.#hasMessages = false;
      const wasGreeted = this.#nodeId !== undefined;
      this.#reader.read(message, this);
      if (this.#nodeId === undefined) throw notGreeted();
      wantsAnswer ||= !this.#hasMessages || !wasGreeted;
    }
    if (this.#nodeId !== undefined) onHeard(this.#nodeId);
    if (wantsAnswer || this.#refused.length > 0) this.#answerSoon();
  }

  closed(): void {
    this.#process?.left();
    this.#options.onClosed();
  }

  onHello(hello: Hello): void {
    if (this.#nodeId !== undefined) throw malformed("a second greeting");
    const { host, processes, onGreeted } = this.#options;
    const { sourceServerId, processNonce } = greeted(hello, host);
    this.#process = processes.entered(sourceServerId, processNonce);
    this.#nodeId = sourceServerId;
    onGreeted(sourceServerId);
  }

  onMessage(envelope: RaftEnvelope): void {
    const { host, limits } = this.#options;
    if (this.#nodeId === undefined) throw notGreeted();
    this.#hasMessages = true;
    if (host.receive(this.#nodeId, envelope)) return;
    if (this.#refused.length >= limits.refusedMax) return;
    this.#refused.push({
      topicId: BigInt(envelope.topicId),
      sourceReplicaId: BigInt(envelope.fromReplica),
      targetReplicaId: BigInt(envelope.toReplica),
    });
  }

  onClock(unixUs: number): void {
    this.#echoedClockUs = unixUs;
    this.#clockUs = this.#options.clock.wallUs();
  }

  /** Ends the stream in good order. */
  end(): void {
    this.#options.output.finish();
  }

  #answerSoon(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    atEndOfTurn(this.#answer);
  }

  readonly #answer = (): void => {
    const { encode, output } = this.#options;
    const answer = {
      receivedBytes: BigInt(this.#receivedBytes),
      refused: this.#refused,
      echoedClockUnixUs: BigInt(this.#echoedClockUs),
      clockUnixUs: BigInt(this.#clockUs),
    };
    this.#toldBytes = this.#receivedBytes;
    this.#refused = [];
    this.#echoedClockUs = 0;
    this.#clockUs = 0;
    if (output.write(encode(answer)) || output.isClosed) {
      this.#isDue = false;
      return;
    }
    // A peer that reads no answers gets no more of them; the next one says it all.
    void output.whenRoom().then(() => {
      this.#isDue = false;
      if (this.#receivedBytes > this.#toldBytes) this.#answerSoon();
    });
  };
}
