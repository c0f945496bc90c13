import { type DescMessage, type MessageShape, toJsonString } from "@bufbuild/protobuf";

/** The API's own JSON on one line, with the fields that are 0 or empty too. */
export function protoJson<D extends DescMessage>(schema: D, message: MessageShape<D>): string {
  return toJsonString(schema, message, { alwaysEmitImplicit: true });
}
