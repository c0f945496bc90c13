import type { MessageInitShape } from "@bufbuild/protobuf";
import { hasReason, ProglogError } from "../base/errors.ts";
import type { TopicNeed } from "../cluster/cluster-view.ts";
import type {
  ConsumeRequest,
  ConsumeResponseSchema,
  ProduceRequest,
  ProduceResponseSchema,
} from "../gen/log/v1/log_pb.ts";
import { DEFAULT_TOPIC_NAME } from "../topics/names.ts";
import type { Topic } from "../topics/topics.ts";
import type { Call } from "./call.ts";
import { recordOfValue, valueOfRecord } from "./record-wire.ts";
import type { TopicsSource } from "./topics-source.ts";

/** `log.v1.Log`, the seed's contract, over the values of the topic `default`. */
export class SeedLogHandlers {
  readonly #topics: TopicsSource;

  constructor(topics: TopicsSource) {
    this.#topics = topics;
  }

  async produce(
    request: ProduceRequest,
    call: Call,
  ): Promise<MessageInitShape<typeof ProduceResponseSchema>> {
    const topic = (await this.#topics.get(call)).topic(DEFAULT_TOPIC_NAME);
    return { offset: BigInt(await appendValue(topic, request.record, call)) };
  }

  async consume(
    request: ConsumeRequest,
    call: Call,
    need: TopicNeed,
  ): Promise<MessageInitShape<typeof ConsumeResponseSchema>> {
    const topic = (await this.#topics.get(call)).topic(DEFAULT_TOPIC_NAME);
    if (need === "leader") await topic.confirm({ caller: call });
    return { record: await readValue(topic, request.offset), offset: request.offset };
  }
}

/** Appends one record. @returns its offset */
export async function appendValue(topic: Topic, value: Uint8Array, call: Call): Promise<number> {
  const batch = { records: [recordOfValue(value)] };
  // Without a deadline only a client that is gone could stop waiting: nobody would hear of it.
  const waiting = call.deadlineMs === undefined ? {} : { caller: call };
  const { firstOffset } = await topic.produce(batch, waiting);
  return firstOffset;
}

/** @throws OFFSET_NOT_FOUND */
export async function readValue(topic: Topic, wanted: bigint): Promise<Uint8Array> {
  const body = await readBody(topic, wanted);
  if (body !== undefined) return valueOfRecord(body);
  throw new ProglogError("OFFSET_NOT_FOUND", `Cannot read offset ${wanted}: no record there`, {
    metadata: { offset: `${wanted}` },
  });
}

async function readBody(topic: Topic, wanted: bigint): Promise<Uint8Array | undefined> {
  if (wanted >= BigInt(Number.MAX_SAFE_INTEGER)) return undefined;
  const offset = Number(wanted);
  try {
    const limits = { recordsMax: 1, bytesMax: 1, endOffset: offset + 1 };
    const run = topic.readTail(offset, limits) ?? (await topic.readRun(offset, limits));
    if (run.count === 0 || run.offsets[0] !== offset) return undefined;
    return run.bytes.subarray(run.starts[0], run.ends[0]);
  } catch (thrown) {
    if (hasReason(thrown, "OFFSET_OUT_OF_RANGE")) return undefined;
    throw thrown;
  }
}
