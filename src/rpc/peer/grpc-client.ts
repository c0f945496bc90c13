import { ProglogError } from "../../base/errors.ts";
import { EnvelopeReader } from "../lean/envelope-reader.ts";

/** Fields of a call's header. */
export const GRPC_FIELDS = { "content-type": "application/grpc+proto", te: "trailers" } as const;

/** Finds the messages of an answer. @param bytesMax of one of them */
export function responseReader(bytesMax: number): EnvelopeReader {
  return new EnvelopeReader({ endFlag: 0, requestBytesMax: bytesMax, compressed: compressedError });
}

function compressedError(): ProglogError {
  return new ProglogError("PROTOCOL_UNKNOWN", "Cannot read an answer that is compressed");
}
