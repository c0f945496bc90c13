import type { Clock } from "../../base/clock.ts";
import {
  ConsumeRequestSchema,
  ConsumeStreamRequestSchema,
} from "../../gen/proglog/v1/log_service_pb.ts";
import type { Topics } from "../../topics/topics.ts";
import type { Call } from "../call.ts";
import { pollOptions, tailOptions, topicOf } from "../consume-request.ts";
import type { LeanCall } from "../lean/lean-call.ts";
import type { Encoded, LeanMethod, LeanOutput, Messages } from "../lean/lean-method.ts";
import { CONSUME_BYTES_MAX } from "../limits.ts";
import type { LogServiceOptions } from "../log-service.ts";
import { longPoll } from "../long-poll.ts";
import { toScannedBatch } from "../produce-batch.ts";
import { type BatchSource, ProducePipeline } from "../produce-pipeline.ts";
import { pipelineOptions, TopicOfStream } from "../produce-stream.ts";
import { resolveStart } from "../read-topic.ts";
import { TopicTail } from "../topic-tail.ts";
import { encodeProduceResponse, encodeProduceStreamResponse } from "./acknowledgement-wire.ts";
import { encodeAnswer, SharedAnswers } from "./consume-wire.ts";
import { measureConsumed } from "./consumed-wire.ts";
import { decodeRequest } from "./decode-request.ts";
import { ProduceScanner, type ScannedBatch } from "./produce-scan.ts";

/** A client that takes a message within this time gets the next one read meanwhile. */
const READS_AHEAD_MS_MAX = 50;

const WIRE = { measure: measureConsumed, answerBytesMax: CONSUME_BYTES_MAX };

/** The hot methods of `proglog.v1.LogService`, on requests and answers that are bytes. */
export function leanLogService(options: LogServiceOptions): Readonly<Record<string, LeanMethod>> {
  const service = new HotLogService(options);
  return {
    produce: { kind: "unary", answer: (body, { call }) => service.produce(body, call) },
    consume: { kind: "unary", answer: (body, { call }) => service.consume(body, call) },
    produceStream: {
      kind: "bidi_streaming",
      run: (input, output, { call }: LeanCall) => service.produceStream(input, output, call),
    },
    consumeStream: {
      kind: "server_streaming",
      run: (body, output, { call }) => service.consumeStream(body, output, call),
    },
  };
}

class HotLogService {
  readonly #options: LogServiceOptions;
  readonly #scanner: ProduceScanner;
  readonly #shared = new SharedAnswers();

  constructor(options: LogServiceOptions) {
    this.#options = options;
    this.#scanner = new ProduceScanner(options.limits);
  }

  produce(body: Uint8Array, call: Call): Promise<Encoded> {
    const { topics } = this.#options;
    if (topics.ready !== undefined) return this.#append(topics.ready, body, call);
    return topics.get(call).then((found) => this.#append(found, body, call));
  }

  #append(topics: Topics, body: Uint8Array, call: Call): Promise<Encoded> {
    const found = this.#scanner.scanRequest(body);
    const topic = topicOf(topics, found);
    const batch = toScannedBatch(found, this.#options.limits);
    // Without a deadline only a client that is gone could stop waiting: nobody would hear of it.
    const waiting = call.deadlineMs === undefined ? {} : { caller: call };
    return topic.produce(batch, waiting).then(encodeProduceResponse);
  }

  async produceStream(
    input: AsyncIterable<Messages>,
    output: LeanOutput,
    call: Call,
  ): Promise<void> {
    const { limits } = this.#options;
    const stream = new TopicOfStream(await this.#options.topics.get(call));
    const pipeline = new ProducePipeline<ScannedBatch>({
      ...pipelineOptions(this.#options, call),
      submit: (found) => {
        const topic = stream.topicOf(found);
        const batch = toScannedBatch(found, limits);
        return { answer: topic.produce(batch), byteCount: batch.byteCount };
      },
    });
    const batches = batchesOf(input, new ProduceScanner(limits));
    for await (const answers of pipeline.run(batches)) {
      if (!output.write(encodeProduceStreamResponse(answers))) await output.whenRoom();
    }
  }

  async consume(body: Uint8Array, call: Call): Promise<Encoded> {
    const request = decodeRequest(ConsumeRequestSchema, body);
    const { clock, state, topics } = this.#options;
    const topic = topicOf(topics.ready ?? (await topics.get(call)), request);
    const options = pollOptions(request, WIRE);
    const portion = await longPoll(topic, await resolveStart(topic, request), {
      ...options,
      clock,
      call,
      draining: state.draining,
    });
    return encodeAnswer(portion, { topicId: topic.info.id });
  }

  async consumeStream(body: Uint8Array, output: LeanOutput, call: Call): Promise<void> {
    const request = decodeRequest(ConsumeStreamRequestSchema, body);
    const { clock, state, topics } = this.#options;
    const topic = topicOf(topics.ready ?? (await topics.get(call)), request);
    const options = tailOptions(request, this.#shared);
    const offset = await resolveStart(topic, request);
    const tail = new TopicTail(topic, {
      ...options,
      limits: { ...options.limits, givesBack: true },
      offset,
      share: call.answers,
      sharesTail: true,
      clock,
      call,
      draining: state.draining,
    });
    const first = { topicId: topic.info.id, heartbeatMs: options.silenceMs };
    try {
      let takesAtOnce = false;
      for (let isFirst = true; ; isFirst = false) {
        const next = tail.next();
        const portion = next instanceof Promise ? await next : next;
        if (portion === undefined || output.isClosed) return;
        if (takesAtOnce) tail.readAhead();
        const message = isFirst ? encodeAnswer(portion, first) : this.#shared.encode(portion);
        takesAtOnce = output.write(message) || (await takesSoon(output, clock));
      }
    } finally {
      tail.close();
    }
  }
}

/** Waits until the client has taken what it got. @returns true when that was at once */
async function takesSoon(output: LeanOutput, clock: Clock): Promise<boolean> {
  const startMs = clock.monotonicMs();
  await output.whenRoom();
  return clock.monotonicMs() - startMs < READS_AHEAD_MS_MAX;
}

async function* batchesOf(
  input: AsyncIterable<Messages>,
  scanner: ProduceScanner,
): AsyncGenerator<BatchSource<ScannedBatch>> {
  for await (const messages of input) yield new ScannedMessages(messages, scanner);
}

/** The batches of several messages, each scanned when its turn has come. */
class ScannedMessages implements BatchSource<ScannedBatch> {
  readonly #messages: Messages;
  readonly #scanner: ProduceScanner;
  #at = 0;

  constructor(messages: Messages, scanner: ProduceScanner) {
    this.#messages = messages;
    this.#scanner = scanner;
  }

  next(): ScannedBatch | undefined {
    for (;;) {
      const found = this.#scanner.nextBatch();
      if (found !== undefined) return found;
      const message = this.#messages[this.#at];
      if (message === undefined) return undefined;
      this.#at += 1;
      this.#scanner.openStreamRequest(message);
    }
  }
}
