import { Code, ConnectError } from "@connectrpc/connect";
import { PeerService } from "../../gen/proglog/internal/v1/peer_service_pb.ts";
import type { Implementation } from "../handler-errors.ts";
import type { ServedService } from "../method-routes.ts";
import type { PeerServer } from "./peer-server.ts";

/** PeerService on the one port. Nobody but servers calls it, so there is the lean way only. */
export function peerService({ methods }: PeerServer): ServedService {
  const refused = Object.keys(methods).map((name): [string, Implementation] => [name, refuse]);
  return {
    desc: PeerService,
    implementation: Object.fromEntries(refused),
    lean: methods,
    // Servers speak until their leaderships are handed over.
    endsWithDrain: false,
    isPeer: true,
  };
}

function refuse(): never {
  throw new ConnectError("spoken by servers only, as gRPC without compression", Code.Unimplemented);
}
