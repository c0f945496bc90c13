import { type DescMessage, fromBinary, type MessageShape } from "@bufbuild/protobuf";
import type { ProglogError } from "../../base/errors.ts";
import { unreadableError } from "../library-errors.ts";

/** A request that is small: decoded as the library does it. @throws MESSAGE_INVALID */
export function decodeRequest<D extends DescMessage>(desc: D, body: Uint8Array): MessageShape<D> {
  try {
    return fromBinary(desc, body);
  } catch (thrown) {
    throw malformed(thrown instanceof Error ? thrown.message : String(thrown));
  }
}

/** The error for bytes that are no message, in the words of the library. */
export function malformed(problem: string): ProglogError {
  return unreadableError(`parse binary: ${problem}`);
}
