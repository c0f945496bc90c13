import { create } from "@bufbuild/protobuf";
import { ProglogError } from "../../base/errors.ts";
import type { PeerHost, PeerSelf } from "../../cluster/peer-host.ts";
import { type Hello, HelloSchema } from "../../gen/proglog/internal/v1/peer_service_pb.ts";
import { PEER_PROTOCOL } from "./peer-limits.ts";

export function helloOf(self: PeerSelf, targetNodeId: string, processNonce: bigint): Hello {
  return create(HelloSchema, {
    clusterId: self.clusterId,
    sourceServerId: self.nodeId,
    targetServerId: targetNodeId,
    protocol: PEER_PROTOCOL,
    processNonce,
  });
}

/**
 * The greeting, when it fits.
 * @throws PROTOCOL_UNKNOWN, CLUSTER_NOT_FOUNDED, CLUSTER_FOREIGN, PEER_UNKNOWN
 */
export function greeted(hello: Hello | undefined, host: PeerHost): Hello {
  if (hello === undefined) throw notGreeted();
  const { clusterId, protocol, sourceServerId, targetServerId } = hello;
  const self = host.self();
  if (protocol !== PEER_PROTOCOL) {
    throw new ProglogError(
      "PROTOCOL_UNKNOWN",
      `Cannot speak version ${protocol} of the protocol between servers: ${PEER_PROTOCOL} is known`,
      { metadata: { protocol: `${protocol}`, protocolMax: `${PEER_PROTOCOL}` } },
    );
  }
  if (self.clusterId === "") {
    throw new ProglogError(
      "CLUSTER_NOT_FOUNDED",
      "Cannot take messages: this server has no cluster yet",
    );
  }
  if (clusterId !== self.clusterId) {
    throw new ProglogError(
      "CLUSTER_FOREIGN",
      `Cannot take messages: they are of cluster "${clusterId}", this server is of "${self.clusterId}"`,
      { metadata: { clusterId: self.clusterId } },
    );
  }
  if (targetServerId !== self.nodeId) {
    throw new ProglogError(
      "PEER_UNKNOWN",
      `Cannot take messages: they are for server "${targetServerId}", this one is "${self.nodeId}"`,
      { metadata: { serverId: self.nodeId } },
    );
  }
  if (sourceServerId === self.nodeId || !host.admits(sourceServerId)) {
    throw noMember(sourceServerId);
  }
  return hello;
}

export function notGreeted(): ProglogError {
  return new ProglogError("PEER_UNKNOWN", "Cannot take messages: nobody said whose they are");
}

export function noMember(serverId: string): ProglogError {
  return new ProglogError(
    "PEER_UNKNOWN",
    `Cannot take messages: server "${serverId}" is not a member`,
    { metadata: { serverId } },
  );
}
