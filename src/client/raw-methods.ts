import type { DescMethodBiDiStreaming, DescMethodServerStreaming } from "@bufbuild/protobuf";
import { type EmptySchema as Empty, EmptySchema } from "@bufbuild/protobuf/wkt";
import {
  type ConsumeStreamRequestSchema,
  LogService,
  type ProduceStreamResponseSchema,
} from "../gen/proglog/v1/log_service_pb.ts";

/**
 * The streaming methods with one side left in its encoding. To a message without
 * fields every field is an unknown one, and those are kept as they are: so the
 * library carries records without making an object of each key, value and header.
 */
export const RAW_PRODUCE_STREAM: DescMethodBiDiStreaming<
  typeof Empty,
  typeof ProduceStreamResponseSchema
> = { ...LogService.method.produceStream, input: EmptySchema };

/** As {@link RAW_PRODUCE_STREAM}, with the answers left in their encoding. */
export const RAW_CONSUME_STREAM: DescMethodServerStreaming<
  typeof ConsumeStreamRequestSchema,
  typeof Empty
> = { ...LogService.method.consumeStream, output: EmptySchema };
