import type { LeaderPlace } from "../../cluster/cluster-view.ts";
import { ConsumeRequestSchema, ProduceRequestSchema } from "../../gen/log/v1/log_pb.ts";
import { DEFAULT_TOPIC_NAME } from "../../topics/names.ts";
import type { Call } from "../call.ts";
import type { Hop } from "../forward/hop.ts";
import type { Router } from "../forward/router.ts";
import { encodedOf } from "../lean/envelope.ts";
import type { Encoded, LeanMethod } from "../lean/lean-method.ts";
import { appendValue, readValue } from "../seed-log-service.ts";
import type { TopicsSource } from "../topics-source.ts";
import { decodeRequest } from "./decode-request.ts";
import { sizeOfLength, writeSmall, writeVarintField } from "./wire-writer.ts";

const RECORD_TAG = (1 << 3) | 2;
/** A tag, and a varint of 53 bits. */
const OFFSET_BYTES_MAX = 9;

export interface SeedServiceOptions {
  readonly topics: TopicsSource;
  readonly router: Router;
}

/** The methods of `log.v1.Log`, on requests and answers that are bytes. */
export function leanSeedService({
  topics,
  router,
}: SeedServiceOptions): Readonly<Record<string, LeanMethod>> {
  const there = (body: Uint8Array, call: Call) => async (place: LeaderPlace, hop: Hop) =>
    encodedOf(await hop.unary(place, call, body));
  return {
    produce: {
      kind: "unary",
      answer: async (body, { call }) => {
        const { record } = decodeRequest(ProduceRequestSchema, body);
        const known = topics.ready ?? (await topics.get(call));
        return await router.serve({
          ...{ call, topic: DEFAULT_TOPIC_NAME, need: "leader", isWrite: true },
          here: async () =>
            encodeProduced(await appendValue(known.topic(DEFAULT_TOPIC_NAME), record, call)),
          there: there(body, call),
        });
      },
    },
    consume: {
      kind: "unary",
      answer: async (body, { call }) => {
        const { offset } = decodeRequest(ConsumeRequestSchema, body);
        const known = topics.ready ?? (await topics.get(call));
        return await router.serve({
          ...{ call, topic: DEFAULT_TOPIC_NAME, need: "replica", isWrite: false },
          here: async (need) => {
            const topic = known.topic(DEFAULT_TOPIC_NAME);
            if (need === "leader") await topic.confirm({ caller: call });
            return encodeConsumed(await readValue(topic, offset), Number(offset));
          },
          there: there(body, call),
        });
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
