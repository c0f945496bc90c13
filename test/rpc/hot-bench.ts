import assert from "node:assert/strict";
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { concat } from "../../src/base/bytes.ts";
import { ProglogError } from "../../src/base/errors.ts";
import {
  ConsumeRequestSchema,
  ConsumeResponseSchema,
  ConsumeStreamRequestSchema,
  ConsumeStreamResponseSchema,
  ProduceRequestSchema,
  ProduceResponseSchema,
} from "../../src/gen/proglog/v1/log_service_pb.ts";
import { HttpPool } from "../../src/platform/http-pool.ts";
import type { AnswerShare } from "../../src/rpc/answer-budget.ts";
import { Hop } from "../../src/rpc/forward/hop.ts";
import { Router } from "../../src/rpc/forward/router.ts";
import { leanLogService } from "../../src/rpc/hot/log-service.ts";
import type { LeanCall } from "../../src/rpc/lean/lean-call.ts";
import type {
  Encoded,
  LeanBidiStreaming,
  LeanOutput,
  LeanServerStreaming,
  LeanUnary,
  Messages,
} from "../../src/rpc/lean/lean-method.ts";
import { RPC_LIMITS, type RpcLimits } from "../../src/rpc/limits.ts";
import { ServingState } from "../../src/rpc/serving-state.ts";
import { TopicsSource } from "../../src/rpc/topics-source.ts";
import { FakeCall } from "../support/fake-call.ts";
import { FakeTopics } from "../support/fake-topics.ts";
import { SimClock, settle } from "../support/sim-clock.ts";

export const TOPIC = { topic: "default" };

export const HEARTBEAT_MS = 10_000;

/** What a client gets, and does not take before the test says so when it is slow. */
export class FakeOutput implements LeanOutput {
  readonly messages: Encoded[] = [];
  isSlow = false;
  isClosed = false;
  #resolve = () => {};

  write(message: Encoded): boolean {
    this.messages.push(message);
    return !this.isSlow;
  }

  async whenRoom(): Promise<void> {
    if (!this.isSlow) return;
    await new Promise<void>((resolve) => {
      this.#resolve = resolve;
    });
  }

  take(): Promise<void> {
    this.#resolve();
    return settle();
  }

  decoded<D extends DescMessage>(desc: D): MessageShape<D>[] {
    return this.messages.map((message) => decode(desc, message));
  }

  /** Offsets of each message of a ConsumeStream. */
  offsets(): number[][] {
    const found = this.decoded(ConsumeStreamResponseSchema);
    return found.map(({ records }) => records.map(({ offset }) => Number(offset)));
  }
}

function decode<D extends DescMessage>(desc: D, { parts, byteLength }: Encoded): MessageShape<D> {
  const bytes = concat(parts);
  assert.equal(bytes.length, byteLength);
  return fromBinary(desc, bytes);
}

export function encode<D extends DescMessage>(desc: D, message: MessageInitShape<D>): Uint8Array {
  return toBinary(desc, create(desc, message));
}

export class HotCall extends FakeCall {
  answers: AnswerShare | undefined;
  deadlineMs: number | undefined;
  signalCount = 0;

  get signal(): AbortSignal {
    this.signalCount += 1;
    return new AbortController().signal;
  }

  get lean(): LeanCall {
    return { call: this } as unknown as LeanCall;
  }
}

/** The hot methods over topics in memory, on a clock that the test moves. */
export class Bench {
  readonly clock = new SimClock();
  readonly topics = new FakeTopics();
  readonly topic = this.topics.topic("default");
  readonly state = new ServingState();
  readonly call = new HotCall();
  readonly output = new FakeOutput();
  readonly #methods: ReturnType<typeof leanLogService>;
  /** How the last stream ended. */
  end: string | undefined;

  constructor(limits: Partial<RpcLimits> = {}) {
    const { topics, clock } = this;
    const source = new TopicsSource({ topics }, clock, 0);
    const hop = new Hop({ pool: new HttpPool({ clock }), clock, nodeId: () => "" });
    const { draining } = this.state;
    this.#methods = leanLogService({
      topics: source,
      router: new Router({ topics: source, hop, clock, draining }),
      limits: { ...RPC_LIMITS, ...limits },
      state: this.state,
      clock: this.clock,
    });
  }

  async produce(request: MessageInitShape<typeof ProduceRequestSchema>) {
    const method = this.#methods["produce"] as LeanUnary;
    const bytes = encode(ProduceRequestSchema, request);
    return decode(ProduceResponseSchema, await method.answer(bytes, this.call.lean));
  }

  async consume(request: MessageInitShape<typeof ConsumeRequestSchema>) {
    const method = this.#methods["consume"] as LeanUnary;
    const bytes = encode(ConsumeRequestSchema, request);
    return decode(ConsumeResponseSchema, await method.answer(bytes, this.call.lean));
  }

  tail(
    request: MessageInitShape<typeof ConsumeStreamRequestSchema> = TOPIC,
    output = this.output,
    call = this.call,
  ): Promise<void> {
    const method = this.#methods["consumeStream"] as LeanServerStreaming;
    const bytes = encode(ConsumeStreamRequestSchema, request);
    this.#follow(method.run(bytes, output, call.lean));
    return settle();
  }

  produceStream(input: AsyncIterable<Messages>): Promise<void> {
    const method = this.#methods["produceStream"] as LeanBidiStreaming;
    this.#follow(method.run(input, this.output, this.call.lean));
    return settle();
  }

  #follow(stream: Promise<void>): void {
    stream.then(
      () => {
        this.end = "OK";
      },
      (thrown: unknown) => {
        assert.ok(thrown instanceof ProglogError, String(thrown));
        this.end = `${thrown.reason} ${thrown.metadata["batchNumber"] ?? ""}`.trim();
      },
    );
  }

  assertNothingLeft(): void {
    assert.equal(this.topic.openWaits, 0);
    assert.equal(this.clock.timerCount, 0);
    assert.equal(this.call.listenerCount, 0);
  }
}
