import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Clock } from "../base/clock.ts";
import type { TopicNeed } from "../cluster/cluster-view.ts";
import type {
  ConsumeRequest,
  ConsumeResponse,
  ConsumeStreamRequest,
  ConsumeStreamResponseSchema,
  OpenProducerRequest,
  OpenProducerResponseSchema,
  ProduceResponseSchema,
  ProduceStreamResponseSchema,
} from "../gen/proglog/v1/log_service_pb.ts";
import type { Topic } from "../topics/topics.ts";
import type { Call } from "./call.ts";
import { pollOptions, tailOptions, topicOf } from "./consume-request.ts";
import { toDuration } from "./fields.ts";
import { follow } from "./follow.ts";
import type { Router } from "./forward/router.ts";
import { unknownFieldError } from "./library-errors.ts";
import type { RpcLimits } from "./limits.ts";
import { longPoll } from "./long-poll.ts";
import { type ProduceRequestOf, toAcknowledgement, toBatch } from "./produce-batch.ts";
import { type BatchSource, ProducePipeline } from "./produce-pipeline.ts";
import { pipelineOptions, TopicOfStream } from "./produce-stream.ts";
import { type Portion, resolveStart } from "./read-topic.ts";
import type { RecordCodec } from "./record-codec.ts";
import type { ServingState } from "./serving-state.ts";
import type { TailOptions } from "./topic-tail.ts";
import type { TopicsSource } from "./topics-source.ts";

export interface LogServiceOptions {
  readonly topics: TopicsSource;
  readonly router: Router;
  readonly limits: RpcLimits;
  readonly state: ServingState;
  readonly clock: Clock;
}

interface ProduceStreamRequestOf<Sent> {
  readonly batches: readonly ProduceRequestOf<Sent>[];
  readonly $unknown?: readonly { readonly no: number }[] | undefined;
}

/** An answer whose records are what the codec of the call made of them. */
type AnswerOf<Returned, Message> = Omit<Message, "records" | "$typeName" | "$unknown"> & {
  readonly records: Returned[];
};

type StreamAnswerOf<Returned> = AnswerOf<
  Returned,
  MessageInitShape<typeof ConsumeStreamResponseSchema>
>;

/** `proglog.v1.LogService`, for calls whose records look as `codec` says. */
export class LogServiceHandlers<Sent, Returned> {
  readonly #options: LogServiceOptions;
  readonly #codec: RecordCodec<Sent, Returned>;

  constructor(options: LogServiceOptions, codec: RecordCodec<Sent, Returned>) {
    this.#options = options;
    this.#codec = codec;
  }

  async produce(
    request: ProduceRequestOf<Sent>,
    call: Call,
  ): Promise<MessageInitShape<typeof ProduceResponseSchema>> {
    const topics = await this.#options.topics.get(call);
    const topic = topicOf(topics, request);
    const batch = toBatch(request, this.#codec, this.#options.limits);
    return toAcknowledgement(await topic.produce(batch, { caller: call }));
  }

  async *produceStream(
    requests: AsyncIterable<ProduceStreamRequestOf<Sent>>,
    call: Call,
  ): AsyncGenerator<MessageInitShape<typeof ProduceStreamResponseSchema>> {
    const topics = await this.#options.topics.get(call);
    const stream = new TopicOfStream(topics);
    const pipeline = new ProducePipeline<ProduceRequestOf<Sent>>({
      ...pipelineOptions(this.#options, call),
      submit: (request) => {
        const topic = stream.topicOf(request);
        const batch = toBatch(request, this.#codec, this.#options.limits);
        return { answer: topic.produce(batch), byteCount: batch.byteCount };
      },
    });
    for await (const answers of pipeline.run(batchesOf(requests, call))) {
      yield { acknowledgements: answers.map(toAcknowledgement) };
    }
  }

  async openProducer(
    request: OpenProducerRequest,
    call: Call,
  ): Promise<MessageInitShape<typeof OpenProducerResponseSchema>> {
    const topics = await this.#options.topics.get(call);
    const topic = topics.topic(request.topic);
    const opened = await topic.openProducer(request.producerId, { caller: call });
    return { epoch: BigInt(opened.epoch), maxInFlight: opened.maxInFlight };
  }

  async consume(
    request: ConsumeRequest,
    call: Call,
    need: TopicNeed,
  ): Promise<AnswerOf<Returned, ConsumeResponse>> {
    const topic = topicOf(await this.#options.topics.get(call), request);
    const options = pollOptions(request, this.#codec);
    const offset = await resolveStart(topic, request, { need, caller: call });
    const portion = await longPoll(topic, offset, { ...options, ...this.#waiting(call) });
    return this.#toAnswer(topic, portion);
  }

  /** Finds where to begin; only then does the answer. */
  async consumeStream(
    request: ConsumeStreamRequest,
    call: Call,
    need: TopicNeed,
  ): Promise<AsyncGenerator<StreamAnswerOf<Returned>>> {
    const topic = topicOf(await this.#options.topics.get(call), request);
    const options = tailOptions(request, this.#codec);
    const offset = await resolveStart(topic, request, { need, caller: call });
    return this.#answersOf(topic, {
      ...options,
      offset,
      share: call.answers,
      sharesTail: false,
      ...this.#waiting(call),
    });
  }

  async *#answersOf(topic: Topic, options: TailOptions): AsyncGenerator<StreamAnswerOf<Returned>> {
    const portions = follow(topic, options);
    let isFirst = true;
    for await (const portion of portions) {
      const answer = this.#toAnswer(topic, portion);
      if (isFirst) yield { ...answer, heartbeatInterval: toDuration(options.silenceMs) };
      else yield { ...answer, topicId: 0n };
      isFirst = false;
    }
  }

  #waiting(call: Call) {
    const { clock, state } = this.#options;
    return { clock, call, draining: state.draining };
  }

  #toAnswer(topic: Topic, portion: Portion): AnswerOf<Returned, ConsumeResponse> {
    return {
      records: portion.runs.flatMap((run) => this.#codec.toAnswer(run)),
      resumeOffset: BigInt(portion.resumeOffset),
      highWatermark: BigInt(portion.highWatermark),
      topicId: BigInt(topic.info.id),
    };
  }
}

async function* batchesOf<Sent>(
  requests: AsyncIterable<ProduceStreamRequestOf<Sent>>,
  call: Call,
): AsyncGenerator<BatchSource<ProduceRequestOf<Sent>>> {
  for await (const { batches, $unknown } of requests) {
    const unknown = $unknown?.[0];
    if (unknown !== undefined) throw unknownFieldError(`${unknown.no}`);
    yield sourceOf(batches);
    // What the pipeline holds now is bounded by itself.
    call.releaseBody();
  }
}

function sourceOf<Batch>(batches: readonly Batch[]): BatchSource<Batch> {
  let at = 0;
  return {
    next() {
      at += 1;
      return batches[at - 1];
    },
  };
}
