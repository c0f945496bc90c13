import type { MessageInitShape } from "@bufbuild/protobuf";
import type { TopicNeed } from "../cluster/cluster-view.ts";
import type { LeaderHintSchema } from "../gen/proglog/v1/record_pb.ts";
import type {
  CreateTopicRequest,
  CreateTopicResponseSchema,
  DeleteTopicRequest,
  FindOffsetRequest,
  FindOffsetResponseSchema,
  GetTopicRequest,
  GetTopicResponseSchema,
  ListTopicsRequest,
  ListTopicsResponseSchema,
  TrimTopicRequest,
  TrimTopicResponseSchema,
  UpdateTopicRequest,
  UpdateTopicResponseSchema,
} from "../gen/proglog/v1/topic_service_pb.ts";
import type { Call } from "./call.ts";
import { toCount, toOptionalId } from "./fields.ts";
import { toLeaderHint } from "./forward/leader-hint.ts";
import { PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX } from "./limits.ts";
import { readPageToken, writePageToken } from "./page-token.ts";
import { resolveStart, toOffset } from "./read-topic.ts";
import { toChanges, toSettings, toTopicMessage, withFieldNames } from "./topic-messages.ts";
import type { TopicsSource } from "./topics-source.ts";

/** This server as others see it. */
export interface ServerSelf {
  readonly serverId: string;
  /** Where clients reach it, `host:port`. */
  readonly address: string;
}

/** Without a cluster this server leads every topic, in the only term there ever is. */
const ALONE_TERM = 1;

/** `proglog.v1.TopicService`. */
export class TopicServiceHandlers {
  readonly #topics: TopicsSource;
  readonly #self: () => ServerSelf | undefined;

  /** @param self undefined as long as it is not known */
  constructor(topics: TopicsSource, self: () => ServerSelf | undefined) {
    this.#topics = topics;
    this.#self = self;
  }

  async createTopic(
    request: CreateTopicRequest,
    call: Call,
  ): Promise<MessageInitShape<typeof CreateTopicResponseSchema>> {
    const topics = await this.#topics.get(call);
    const settings = toSettings(request.settings);
    const info = await withFieldNames(() => topics.create(request.topic, settings));
    return { topic: toTopicMessage(info) };
  }

  async getTopic(
    request: GetTopicRequest,
    call: Call,
    need: TopicNeed,
  ): Promise<MessageInitShape<typeof GetTopicResponseSchema>> {
    const topic = (await this.#topics.get(call)).topic(request.topic);
    if (need === "leader") await topic.confirm({ caller: call });
    const { firstOffset, nextOffset, diskBytes, lastAppendTimeUs } = topic.status();
    const leader = this.#leaderOf(request.topic);
    return {
      topic: toTopicMessage(topic.info),
      status: {
        firstOffset: BigInt(firstOffset),
        nextOffset: BigInt(nextOffset),
        diskBytes: BigInt(diskBytes),
        ...(lastAppendTimeUs !== undefined && { lastAppendTimeUnixUs: BigInt(lastAppendTimeUs) }),
        ...(leader !== undefined && { leader }),
      },
    };
  }

  async listTopics(
    request: ListTopicsRequest,
    call: Call,
  ): Promise<MessageInitShape<typeof ListTopicsResponseSchema>> {
    const topics = await this.#topics.get(call);
    const { pageToken, namePrefix: prefix } = request;
    const limit = toCount(request.pageSize, {
      field: "page_size",
      fallback: PAGE_SIZE_DEFAULT,
      max: PAGE_SIZE_MAX,
    });
    const after = pageToken === "" ? undefined : readPageToken(pageToken, prefix).after;
    const page = topics.list({ prefix, limit, ...(after !== undefined && { after }) });
    const last = page.topics.at(-1);
    return {
      topics: page.topics.map(toTopicMessage),
      nextPageToken:
        page.more && last !== undefined ? writePageToken({ prefix, after: last.name }) : "",
    };
  }

  async updateTopic(
    request: UpdateTopicRequest,
    call: Call,
  ): Promise<MessageInitShape<typeof UpdateTopicResponseSchema>> {
    const topics = await this.#topics.get(call);
    const { changes, cleared } = toChanges(request);
    const info = await withFieldNames(() => topics.update(request.topic, changes, cleared));
    return { topic: toTopicMessage(info) };
  }

  async deleteTopic(request: DeleteTopicRequest, call: Call): Promise<Record<string, never>> {
    const topics = await this.#topics.get(call);
    await topics.delete(request.topic, toOptionalId(request.topicId, "topic_id"));
    return {};
  }

  async trimTopic(
    request: TrimTopicRequest,
    call: Call,
  ): Promise<MessageInitShape<typeof TrimTopicResponseSchema>> {
    const topics = await this.#topics.get(call);
    const topic = topics.topic(request.topic, toOptionalId(request.topicId, "topic_id"));
    const beforeOffset = toOffset(topic, request.beforeOffset);
    const { firstOffset } = await topic.trim(beforeOffset, { caller: call });
    return { firstOffset: BigInt(firstOffset) };
  }

  async findOffset(
    request: FindOffsetRequest,
    call: Call,
    need: TopicNeed,
  ): Promise<MessageInitShape<typeof FindOffsetResponseSchema>> {
    const topic = (await this.#topics.get(call)).topic(request.topic);
    const offset = await resolveStart(topic, request, { need, caller: call });
    const { firstOffset, nextOffset } = topic.status();
    return {
      offset: BigInt(offset),
      firstOffset: BigInt(firstOffset),
      nextOffset: BigInt(nextOffset),
      topicId: BigInt(topic.info.id),
    };
  }

  #leaderOf(topic: string): MessageInitShape<typeof LeaderHintSchema> | undefined {
    const route = this.#topics.cluster?.routeTopic(topic, "leader");
    if (route?.kind === "there") return toLeaderHint(route.leader);
    const self = this.#self();
    if (self === undefined || (route !== undefined && route.kind !== "here")) return undefined;
    return { ...self, term: BigInt(route?.term ?? ALONE_TERM) };
  }
}
