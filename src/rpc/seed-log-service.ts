import type { MessageInitShape } from "@bufbuild/protobuf";
import { hasReason, ProglogError } from "../base/errors.ts";
import type {
  ConsumeRequest,
  ConsumeResponseSchema,
  ProduceRequest,
  ProduceResponseSchema,
} from "../gen/log/v1/log_pb.ts";
import { DEFAULT_TOPIC_NAME } from "../topics/names.ts";
import type { StoredRecord, Topic } from "../topics/topics.ts";
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
    const batch = { records: [recordOfValue(request.record)] };
    const { firstOffset } = await topic.produce(batch, { signal: call.signal });
    return { offset: BigInt(firstOffset) };
  }

  async consume(
    request: ConsumeRequest,
    call: Call,
  ): Promise<MessageInitShape<typeof ConsumeResponseSchema>> {
    const topic = (await this.#topics.get(call)).topic(DEFAULT_TOPIC_NAME);
    const found = await readOne(topic, request.offset);
    if (found === undefined) {
      throw new ProglogError(
        "OFFSET_NOT_FOUND",
        `Cannot read offset ${request.offset}: no record there`,
        {
          metadata: { offset: `${request.offset}` },
        },
      );
    }
    return { record: valueOfRecord(found.body), offset: request.offset };
  }
}

async function readOne(topic: Topic, wanted: bigint): Promise<StoredRecord | undefined> {
  if (wanted >= BigInt(Number.MAX_SAFE_INTEGER)) return undefined;
  const offset = Number(wanted);
  try {
    const limits = { recordsMax: 1, bytesMax: 1, endOffset: offset + 1 };
    const found = (await topic.read(offset, limits)).records[0];
    return found?.offset === offset ? found : undefined;
  } catch (thrown) {
    if (hasReason(thrown, "OFFSET_OUT_OF_RANGE")) return undefined;
    throw thrown;
  }
}
