import type { Clock } from "../../base/clock.ts";
import type { TopicNeed } from "../../cluster/cluster-view.ts";
import {
  type ConsumeRequest,
  ConsumeRequestSchema,
  ConsumeStreamRequestSchema,
} from "../../gen/proglog/v1/log_service_pb.ts";
import type { Topic, Topics } from "../../topics/topics.ts";
import type { Call } from "../call.ts";
import { pollOptions, tailOptions, topicOf } from "../consume-request.ts";
import { beginOf } from "../forward/begun-stream.ts";
import { withLeaderHint } from "../forward/leader-hint.ts";
import { Relay, relayTo } from "../forward/relay.ts";
import type { Errand } from "../forward/router.ts";
import { encodedOf } from "../lean/envelope.ts";
import type { LeanCall } from "../lean/lean-call.ts";
import type { Encoded, LeanMethod, LeanOutput, Messages } from "../lean/lean-method.ts";
import { CONSUME_BYTES_MAX } from "../limits.ts";
import type { LogServiceOptions } from "../log-service.ts";
import { longPoll } from "../long-poll.ts";
import { toScannedBatch } from "../produce-batch.ts";
import { type BatchSource, ProducePipeline } from "../produce-pipeline.ts";
import { pipelineOptions, TopicOfStream } from "../produce-stream.ts";
import { needOfStart, resolveStart } from "../read-topic.ts";
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
    produce: {
      kind: "unary",
      answer: (body, { call }) => service.produce(body, call),
      retry: (body, { call }, thrown) => service.retryProduce(body, call, thrown),
    },
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
    const { router } = this.#options;
    if (!router.isElsewhere(found.topic, "leader")) return this.#appendHere(topics, found, call);
    return router.run(this.#produceErrand(topics, body, call));
  }

  #appendHere(topics: Topics, found: ScannedBatch, call: Call): Promise<Encoded> {
    const topic = topicOf(topics, found);
    const batch = toScannedBatch(found, this.#options.limits);
    // Without a deadline only a client that is gone could stop waiting: nobody would hear of it.
    const waiting = call.deadlineMs === undefined ? {} : { caller: call };
    return topic.produce(batch, waiting).then(encodeProduceResponse);
  }

  retryProduce(body: Uint8Array, call: Call, thrown: unknown): Promise<Encoded> | undefined {
    const { router, topics } = this.#options;
    if (topics.ready === undefined || !router.mayServe(thrown, "leader")) return undefined;
    return router.run(this.#produceErrand(topics.ready, body, call), { thrown });
  }

  #produceErrand(topics: Topics, body: Uint8Array, call: Call): Errand<Encoded> {
    const { topic } = this.#scanner.scanRequest(body);
    return {
      call,
      topic,
      need: "leader",
      isWrite: true,
      here: async () => await this.#appendHere(topics, this.#scanner.scanRequest(body), call),
      there: async (place, hop) => withLeaderHint(await hop.unary(place, call, body), place),
    };
  }

  async produceStream(
    input: AsyncIterable<Messages>,
    output: LeanOutput,
    call: Call,
  ): Promise<void> {
    const { router, state, topics: source } = this.#options;
    const topics = await source.get(call);
    if (source.cluster === undefined) {
      await this.#produceStreamHere(topics, input, output, call);
      return;
    }
    const begun = await beginOf(input, (messages) => this.#topicOf(messages));
    const here = () => this.#produceStreamHere(topics, begun.all(), output, call);
    const { topic } = begun;
    if (topic === undefined) {
      await here();
      return;
    }
    const about = { call, topic, isWrite: true };
    const run = await router.serve<() => Promise<void>>({
      ...about,
      need: "leader",
      here: async () => here,
      there: async (place, hop) => {
        const options = { ...about, place, draining: state.draining, isWhole: false };
        const relay = await Relay.open(hop, begun.first.flat(), options);
        void relay.feed(begun.rest());
        return () => relayTo(output, relay, call);
      },
    });
    await run();
  }

  /** As `beginOf` has it: the topic of the first batch. What cannot be read is refused here. */
  #topicOf(messages: Messages): string | undefined {
    const scanner = new ProduceScanner(this.#options.limits);
    try {
      return new ScannedMessages(messages, scanner).next()?.topic;
    } catch {
      return "";
    }
  }

  async #produceStreamHere(
    topics: Topics,
    input: AsyncIterable<Messages>,
    output: LeanOutput,
    call: Call,
  ): Promise<void> {
    const { limits } = this.#options;
    const stream = new TopicOfStream(topics);
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
    const { router, topics: source } = this.#options;
    const topics = source.ready ?? (await source.get(call));
    return await router.serve({
      call,
      topic: request.topic,
      need: needOfStart(request),
      isWrite: false,
      here: (need) => this.#consumeHere(topicOf(topics, request), request, { need, call }),
      there: async (place, hop) => encodedOf(await hop.unary(place, call, body)),
    });
  }

  async #consumeHere(
    topic: Topic,
    request: ConsumeRequest,
    { need, call }: { readonly need: TopicNeed; readonly call: Call },
  ): Promise<Encoded> {
    const { clock, state } = this.#options;
    const options = pollOptions(request, WIRE);
    const offset = await resolveStart(topic, request, { need, caller: call });
    const portion = await longPoll(topic, offset, {
      ...options,
      clock,
      call,
      draining: state.draining,
    });
    return encodeAnswer(portion, { topicId: topic.info.id });
  }

  async consumeStream(body: Uint8Array, output: LeanOutput, call: Call): Promise<void> {
    const request = decodeRequest(ConsumeStreamRequestSchema, body);
    const { router, state, topics: source } = this.#options;
    const topics = source.ready ?? (await source.get(call));
    const about = { call, topic: request.topic, isWrite: false };
    const run = await router.serve<() => Promise<void>>({
      ...about,
      need: needOfStart(request),
      here: async (need) => {
        const topic = topicOf(topics, request);
        const options = tailOptions(request, this.#shared);
        const offset = await resolveStart(topic, request, { need, caller: call });
        return () => this.#runTail(topic, { ...options, offset }, output, call);
      },
      there: async (place, hop) => {
        const options = { ...about, place, draining: state.draining, isWhole: true };
        const relay = await Relay.open(hop, [body], options);
        relay.endWithDrain();
        return () => relayTo(output, relay, call);
      },
    });
    await run();
  }

  async #runTail(
    topic: Topic,
    options: ReturnType<typeof tailOptions> & { readonly offset: number },
    output: LeanOutput,
    call: Call,
  ): Promise<void> {
    const { clock, state } = this.#options;
    const tail = new TopicTail(topic, {
      ...options,
      limits: { ...options.limits, givesBack: true },
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
