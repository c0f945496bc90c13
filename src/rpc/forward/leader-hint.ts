import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import type { LeaderPlace } from "../../cluster/cluster-view.ts";
import { ProduceResponseSchema } from "../../gen/proglog/v1/log_service_pb.ts";
import type { LeaderHintSchema } from "../../gen/proglog/v1/record_pb.ts";
import type { Encoded } from "../lean/lean-method.ts";

/** Who leads, as clients are told. */
export function toLeaderHint(place: LeaderPlace): MessageInitShape<typeof LeaderHintSchema> {
  const { nodeId: serverId, address, term } = place;
  return { serverId, address, term: BigInt(term) };
}

/** A ProduceResponse of the leader, and behind it who that is: fields may come in any order. */
export function withLeaderHint(response: Uint8Array, place: LeaderPlace): Encoded {
  const hint = create(ProduceResponseSchema, { leaderHint: toLeaderHint(place) });
  const bytes = toBinary(ProduceResponseSchema, hint);
  return { parts: [response, bytes], byteLength: response.length + bytes.length };
}
