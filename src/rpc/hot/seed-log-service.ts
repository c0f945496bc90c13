import { ConsumeRequestSchema, ProduceRequestSchema } from "../../gen/log/v1/log_pb.ts";
import { DEFAULT_TOPIC_NAME } from "../../topics/names.ts";
import type { Topic } from "../../topics/topics.ts";
import type { Call } from "../call.ts";
import type { Encoded, LeanMethod } from "../lean/lean-method.ts";
import { appendValue, readValue } from "../seed-log-service.ts";
import type { TopicsSource } from "../topics-source.ts";
import { decodeRequest } from "./decode-request.ts";
import { sizeOfLength, writeSmall, writeVarintField } from "./wire-writer.ts";

const RECORD_TAG = (1 << 3) | 2;
/** A tag, and a varint of 53 bits. */
const OFFSET_BYTES_MAX = 9;

/** The methods of `log.v1.Log`, on requests and answers that are bytes. */
export function leanSeedService({
  topics,
}: {
  readonly topics: TopicsSource;
}): Readonly<Record<string, LeanMethod>> {
  const topicFor = async (call: Call): Promise<Topic> =>
    (topics.ready ?? (await topics.get(call))).topic(DEFAULT_TOPIC_NAME);
  return {
    produce: {
      kind: "unary",
      answer: async (body, { call }) => {
        const { record } = decodeRequest(ProduceRequestSchema, body);
        return encodeProduced(await appendValue(await topicFor(call), record, call));
      },
    },
    consume: {
      kind: "unary",
      answer: async (body, { call }) => {
        const { offset } = decodeRequest(ConsumeRequestSchema, body);
        return encodeConsumed(await readValue(await topicFor(call), offset), Number(offset));
      },
    },
  };
}

/** ProduceResponse: `[08 offset]`. */
function encodeProduced(offset: number): Encoded {
  const bytes = new Uint8Array(OFFSET_BYTES_MAX);
  const byteLength = writeVarintField(bytes, 0, 1, offset);
  return { parts: [bytes.subarray(0, byteLength)], byteLength };
}

/** ConsumeResponse: `[0A size value] [10 offset]`. */
function encodeConsumed(value: Uint8Array, offset: number): Encoded {
  const rest = new Uint8Array(OFFSET_BYTES_MAX);
  const end = rest.subarray(0, writeVarintField(rest, 0, 2, offset));
  if (value.length === 0) return { parts: [end], byteLength: end.length };
  const head = new Uint8Array(1 + sizeOfLength(value.length));
  head[0] = RECORD_TAG;
  writeSmall(head, 1, value.length);
  return {
    parts: [head, value, end],
    byteLength: head.length + value.length + end.length,
  };
}
