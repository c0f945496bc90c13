import { base64Decode, base64Encode } from "@bufbuild/protobuf/wire";
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import { crc32 } from "../platform/crc32.ts";
import { fieldError } from "./fields.ts";

/** Where a list goes on: after a name, among those with a prefix, or of another kind of list by its name. */
export interface PagePlace {
  readonly prefix: string;
  readonly after: string;
}

const VERSION = 1;
const CRC_BYTES = 4;

/**
 * A place as text. Its content is nobody's business but ours, so it carries a
 * checksum: what was made up or cut off is refused, not misunderstood.
 *
 *     [version u8 = 1][prefix text][after text][crc32 of what is before, u32]
 */
export function writePageToken({ prefix, after }: PagePlace): string {
  const content = new ByteWriter().u8(VERSION).text(prefix).text(after).finish();
  return base64Encode(new ByteWriter().raw(content).u32(crc32(content)).finish(), "url");
}

/**
 * @param prefix of the request, which must be that of the page before
 * @throws FIELD_INVALID
 */
export function readPageToken(token: string, prefix: string): PagePlace {
  const place = parse(token);
  if (place === undefined) throw fieldError("page_token", "it is not from a page of this list");
  if (place.prefix !== prefix) {
    throw fieldError("page_token", "it is from another list, or one with other filters");
  }
  return place;
}

function parse(token: string): PagePlace | undefined {
  try {
    const bytes = base64Decode(token);
    const content = bytes.subarray(0, Math.max(0, bytes.length - CRC_BYTES));
    const reader = new ByteReader(bytes);
    if (reader.u8() !== VERSION) return undefined;
    const place = { prefix: reader.text(), after: reader.text() };
    if (reader.u32() !== crc32(content) || reader.remaining > 0) return undefined;
    return place;
  } catch {
    return undefined;
  }
}
