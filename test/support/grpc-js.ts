import {
  create,
  type DescMessage,
  type DescMethod,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import { findTrailerError } from "@connectrpc/connect/protocol-grpc";
import type { ServiceError } from "@grpc/grpc-js";

/** A method whose messages are known. */
export type Method<I extends DescMessage, O extends DescMessage> = DescMethod & {
  input: I;
  output: O;
};

/** What grpc-js needs of a method, by our descriptors. */
export function marshal<I extends DescMessage, O extends DescMessage>(method: Method<I, O>) {
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    write: (message: MessageInitShape<I>) =>
      Buffer.from(toBinary(method.input, create(method.input, message))),
    read: (bytes: Buffer): MessageShape<O> => fromBinary(method.output, bytes),
  };
}

/** Status codes of gRPC and Connect are the same numbers; details are in a trailer. */
export function toConnectError({ code, details, metadata }: ServiceError): ConnectError {
  const [status] = metadata.get("grpc-status-details-bin");
  if (!(status instanceof Buffer)) return new ConnectError(details, code as number);
  const trailer = new Headers({
    "grpc-status": `${code}`,
    "grpc-status-details-bin": status.toString("base64"),
  });
  return findTrailerError(trailer) ?? new ConnectError(details, code as number);
}
