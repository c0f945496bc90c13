import { timestampDate } from "@bufbuild/protobuf/wkt";
import type { GetTopicResponse, Topic } from "../gen/proglog/v1/topic_service_pb.ts";
import { printSize } from "../server/setting-types.ts";
import { printTime } from "./time.ts";
import { describeSettings } from "./topic-settings.ts";

/** A topic's extent and settings, for people. */
export function describeTopic({ topic, status }: GetTopicResponse): (readonly [string, string])[] {
  const lastUs = status?.lastAppendTimeUnixUs;
  return [
    ["name", topic?.name ?? ""],
    ["id", String(topic?.id ?? "")],
    ["created", topic === undefined ? "" : created(topic)],
    ["first offset", String(status?.firstOffset ?? "")],
    ["next offset", String(status?.nextOffset ?? "")],
    ["disk bytes", status === undefined ? "" : approximateSize(Number(status.diskBytes))],
    ["last append", lastUs === undefined ? "never" : printTime(Number(lastUs))],
    ...describeSettings(topic?.settings, topic?.effectiveSettings),
  ];
}

/** When it was made. */
export function created(topic: Topic): string {
  const time = topic.createTime;
  return time === undefined ? "-" : timestampDate(time).toISOString();
}

/** Exact bytes, and from a KiB on what that is about. */
function approximateSize(bytes: number): string {
  if (bytes < 1_024) return String(bytes);
  const unit = bytes < 2 ** 20 ? 2 ** 10 : bytes < 2 ** 30 ? 2 ** 20 : 2 ** 30;
  return `${bytes} (about ${printSize(Math.round(bytes / unit) * unit)})`;
}
