import { concat } from "../../../src/base/bytes.ts";
import { FRAME } from "./http2-bytes.ts";

const FRAME_HEADER_BYTES = 9;
const END_STREAM = 1;

/** What matters of an answer to one script; undefined as long as it is not whole. */
export function essenceOf(answer: Buffer): string | undefined {
  return answer.toString("latin1", 0, 5) === "HTTP/" ? textOf(answer) : streamOf(answer);
}

/** All answers of an HTTP/1.1 connection whose last one has a length or ends in a chunk of none. */
function textOf(answer: Buffer): string | undefined {
  const text = answer.toString("latin1").replaceAll(/^date: .*\r\n/gim, "");
  const headEnd = text.lastIndexOf("HTTP/1.1 ");
  const bodyStart = text.indexOf("\r\n\r\n", headEnd) + 4;
  if (bodyStart < 4) return undefined;
  const length = /^content-length: (\d+)/im.exec(text.slice(headEnd, bodyStart))?.[1];
  const isWhole =
    length === undefined ? text.endsWith("0\r\n\r\n") : text.length === bodyStart + Number(length);
  return isWhole ? text : undefined;
}

/** The frames of stream 1 but for how its fields are compressed, which depends on time. */
function streamOf(answer: Buffer): string | undefined {
  const parts: Uint8Array[] = [];
  let headerCount = 0;
  for (let at = 0; at + FRAME_HEADER_BYTES <= answer.length; ) {
    const length = answer.readUIntBE(at, 3);
    const end = at + FRAME_HEADER_BYTES + length;
    if (end > answer.length) return undefined;
    const [type, flags, streamId] = [
      answer[at + 3],
      answer[at + 4] ?? 0,
      answer.readUInt32BE(at + 5),
    ];
    if (type === FRAME.goaway) return "GOAWAY";
    if (streamId === 1 && type === FRAME.reset) return "RST_STREAM";
    if (streamId === 1 && type === FRAME.headers) headerCount += 1;
    if (streamId === 1 && type === FRAME.data) parts.push(answer.subarray(at + 9, end));
    if (streamId === 1 && (type === FRAME.headers || type === FRAME.data)) {
      if ((flags & END_STREAM) !== 0) {
        return `${headerCount} headers, ${Buffer.from(concat(parts)).toString("hex")}`;
      }
    }
    at = end;
  }
  return undefined;
}
