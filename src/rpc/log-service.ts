import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Clock } from "../base/clock.ts";
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
import type { ReadResult, Topic, Topics } from "../topics/topics.ts";
import type { Call } from "./call.ts";
import {
  fieldError,
  toCount,
  toDuration,
  toMilliseconds,
  toOptionalId,
  toSafeInteger,
} from "./fields.ts";
import { follow } from "./follow.ts";
import { unknownFieldError } from "./library-errors.ts";
import * as limit from "./limits.ts";
import { longPoll } from "./long-poll.ts";
import { type ProduceRequestOf, toAcknowledgement, toBatch } from "./produce-batch.ts";
import { ProducePipeline, type Submitted } from "./produce-pipeline.ts";
import { resolveStart } from "./read-topic.ts";
import type { RecordCodec } from "./record-codec.ts";
import type { ServingState } from "./serving-state.ts";
import type { TopicsSource } from "./topics-source.ts";

export interface LogServiceOptions {
  readonly topics: TopicsSource;
  readonly limits: limit.RpcLimits;
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
    return toAcknowledgement(await this.#append(topics, request, call).answer);
  }

  async *produceStream(
    requests: AsyncIterable<ProduceStreamRequestOf<Sent>>,
    call: Call,
  ): AsyncGenerator<MessageInitShape<typeof ProduceStreamResponseSchema>> {
    const { limits, state } = this.#options;
    const topics = await this.#options.topics.get(call);
    let topicName = "";
    const pipeline = new ProducePipeline<ProduceRequestOf<Sent>>({
      batchesMax: limits.pipelineBatchesMax,
      bytesMax: limits.pipelineBytesMax,
      draining: state.draining,
      submit: (batch) => {
        topicName = streamTopic(topicName, batch.topic);
        return this.#append(topics, { ...batch, topic: topicName }, call);
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
    const opened = await topic.openProducer(request.producerId, { signal: call.signal });
    return { epoch: BigInt(opened.epoch), maxInFlight: opened.maxInFlight };
  }

  async consume(request: ConsumeRequest, call: Call): Promise<AnswerOf<Returned, ConsumeResponse>> {
    const topic = topicOf(await this.#options.topics.get(call), request);
    const { maxRecords, maxBytes, wait } = request;
    const waitMs = wait === undefined ? 0 : toMilliseconds(wait, "wait");
    const limits = {
      recordsMax: toCount(maxRecords, {
        field: "max_records",
        fallback: limit.CONSUME_RECORDS_DEFAULT,
        max: limit.CONSUME_RECORDS_MAX,
      }),
      bytesMax: toCount(maxBytes, {
        field: "max_bytes",
        fallback: this.#codec.answerBytesMax,
        max: this.#codec.answerBytesMax,
      }),
      sizeOf: this.#codec.sizeOf,
    };
    const result = await longPoll(topic, await resolveStart(topic, request), {
      limits,
      waitMs: Math.min(waitMs, limit.CONSUME_WAIT_MS_MAX),
      ...this.#waiting(call),
    });
    return this.#toAnswer(topic, result);
  }

  async *consumeStream(
    request: ConsumeStreamRequest,
    call: Call,
  ): AsyncGenerator<StreamAnswerOf<Returned>> {
    const topic = topicOf(await this.#options.topics.get(call), request);
    const heartbeatMs = heartbeatOf(request);
    const { endOffset } = request;
    const results = follow(topic, {
      offset: await resolveStart(topic, request),
      limits: {
        recordsMax: limit.STREAM_RECORDS_MAX,
        bytesMax: limit.STREAM_BYTES_MAX,
        sizeOf: this.#codec.sizeOf,
        endOffset: endOffset === undefined ? undefined : toSafeInteger(endOffset, "end_offset"),
      },
      heartbeatMs,
      share: call.answers,
      ...this.#waiting(call),
    });
    let isFirst = true;
    for await (const result of results) {
      const answer = this.#toAnswer(topic, result);
      if (isFirst) yield { ...answer, heartbeatInterval: toDuration(heartbeatMs) };
      else yield { ...answer, topicId: 0n };
      isFirst = false;
    }
  }

  #append(topics: Topics, request: ProduceRequestOf<Sent>, call: Call): Submitted {
    const topic = topicOf(topics, request);
    const batch = toBatch(request, this.#codec, this.#options.limits);
    return {
      answer: topic.produce(batch, { signal: call.signal }),
      byteCount: batch.byteCount,
    };
  }

  #waiting(call: Call) {
    const { clock, state } = this.#options;
    return { clock, signal: call.signal, draining: state.draining };
  }

  #toAnswer(topic: Topic, result: ReadResult): AnswerOf<Returned, ConsumeResponse> {
    return {
      records: this.#codec.toAnswer(result.records),
      resumeOffset: BigInt(result.resumeOffset),
      highWatermark: BigInt(result.highWatermark),
      topicId: BigInt(topic.info.id),
    };
  }
}

/** @throws TOPIC_NAME_INVALID, TOPIC_NOT_FOUND, TOPIC_REPLACED */
function topicOf(topics: Topics, request: { topic: string; topicId: bigint }): Topic {
  return topics.topic(request.topic, toOptionalId(request.topicId, "topic_id"));
}

/** The topic of a stream's next batch: the first batch names it. @throws FIELD_INVALID */
function streamTopic(present: string, named: string): string {
  if (named === "" || present === "") return named === "" ? present : named;
  if (named === present) return present;
  throw fieldError("batches.topic", `it is "${named}", must be "${present}" as in the first batch`);
}

async function* batchesOf<Sent>(
  requests: AsyncIterable<ProduceStreamRequestOf<Sent>>,
  call: Call,
): AsyncGenerator<readonly ProduceRequestOf<Sent>[]> {
  for await (const { batches, $unknown } of requests) {
    const unknown = $unknown?.[0];
    if (unknown !== undefined) throw unknownFieldError(`${unknown.no}`);
    yield batches;
    // What the pipeline holds now is bounded by itself.
    call.releaseBody();
  }
}

function heartbeatOf({ heartbeatInterval }: ConsumeStreamRequest): number {
  if (heartbeatInterval === undefined) return limit.HEARTBEAT_MS_DEFAULT;
  const wanted = toMilliseconds(heartbeatInterval, "heartbeat_interval");
  return Math.min(Math.max(wanted, limit.HEARTBEAT_MS_MIN), limit.HEARTBEAT_MS_MAX);
}
