import type { ConsumedRecord } from "../client/consumed-record.ts";
import { UsageError } from "./errors.ts";
import type { Output } from "./output.ts";
import { printTime } from "./time.ts";

/** Writes one record the way the user asked for. */
export type RecordFormat = (record: ConsumedRecord, output: Output) => void;

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const LINE_FEED = 10;

/** `text`, `json`, or a pattern. @throws {UsageError} for a pattern that is none. */
export function parseFormat(format: string, topic: string): RecordFormat {
  if (format === "text") return writeText;
  if (format === "json") return writeJson;
  if (!/[%\\]/.test(format)) {
    throw new UsageError(
      `Cannot read --format: "${format}" is not known, write text, json or a pattern such as '%o %v\\n'`,
    );
  }
  return parsePattern(format, topic);
}

/** The value and a line feed. A value that has line feeds cannot be told from several. */
function writeText(record: ConsumedRecord, output: Output): void {
  output.append(record.bytes, record.valueStart, record.valueEnd);
  output.appendByte(LINE_FEED);
}

/** One object a line, exact: what `produce --input json` reads. */
function writeJson(record: ConsumedRecord, output: Output): void {
  output.appendLine(JSON.stringify(toJson(record)));
}

/** Text where bytes are valid UTF-8, base64 under another name where they are not. */
function toJson(record: ConsumedRecord): Record<string, unknown> {
  const json: Record<string, unknown> = {
    offset: record.offset,
    time: printTime(record.appendTimeUs),
  };
  if (record.keyEnd > record.keyStart) Object.assign(json, bytesToJson("key", record.key));
  Object.assign(json, bytesToJson("value", record.value));
  const headers = record.headers();
  if (headers.length > 0) {
    json["headers"] = headers.map(({ name, value }) => ({ name, ...bytesToJson("value", value) }));
  }
  const clientTimeUs = record.clientTimeUs();
  if (clientTimeUs !== undefined) json["clientTimeUnixUs"] = String(clientTimeUs);
  return json;
}

function bytesToJson(name: string, bytes: Uint8Array): Record<string, string> {
  try {
    return { [name]: UTF8.decode(bytes) };
  } catch {
    return { [`${name}Base64`]: Buffer.from(bytes).toString("base64") };
  }
}

/** What a `%` and a letter stand for. */
const PLACEHOLDERS: Readonly<
  Record<
    string,
    { readonly says: string; write(record: ConsumedRecord, output: Output, topic: string): void }
  >
> = {
  o: { says: "offset", write: (record, output) => output.appendText(String(record.offset)) },
  v: {
    says: "value",
    write: (record, output) => output.append(record.bytes, record.valueStart, record.valueEnd),
  },
  k: {
    says: "key",
    write: (record, output) => output.append(record.bytes, record.keyStart, record.keyEnd),
  },
  d: {
    says: "append time, RFC 3339 in UTC with microseconds",
    write: (record, output) => output.appendText(printTime(record.appendTimeUs)),
  },
  t: { says: "topic", write: (_, output, topic) => output.appendText(topic) },
  V: {
    says: "length of the value in bytes",
    write: (record, output) => output.appendText(String(record.valueEnd - record.valueStart)),
  },
  h: { says: "headers, as name=value with commas between", write: writeHeaders },
  "%": { says: "a percent sign", write: (_, output) => output.appendText("%") },
};

const ESCAPES: Readonly<Record<string, string>> = {
  n: "\n",
  t: "\t",
  r: "\r",
  "0": "\0",
  "\\": "\\",
};

/** What patterns know, for help: `%o offset`. */
export const PATTERN_HELP: readonly string[] = Object.entries(PLACEHOLDERS).map(
  ([letter, { says }]) => `%${letter} ${says}`,
);

function parsePattern(pattern: string, topic: string): RecordFormat {
  const writers: RecordFormat[] = [];
  for (const [part] of pattern.matchAll(/%[\s\S]?|\\[\s\S]?|[^%\\]+/g)) {
    if (part.startsWith("%")) {
      const placeholder = PLACEHOLDERS[part.slice(1)];
      if (placeholder === undefined) throw unknownPart(part, PATTERN_HELP.join(", "));
      writers.push((record, output) => placeholder.write(record, output, topic));
    } else {
      const literal = part.startsWith("\\") ? ESCAPES[part.slice(1)] : part;
      if (literal === undefined) throw unknownPart(part, "\\n, \\t, \\r, \\0 and \\\\");
      const bytes = Buffer.from(literal);
      writers.push((_, output) => output.append(bytes));
    }
  }
  return (record, output) => {
    for (const write of writers) write(record, output);
  };
}

function unknownPart(part: string, known: string): UsageError {
  return new UsageError(`Cannot read --format: "${part}" is not known, there are ${known}`);
}

function writeHeaders(record: ConsumedRecord, output: Output): void {
  for (const [place, { name, value }] of record.headers().entries()) {
    output.appendText(`${place === 0 ? "" : ","}${name}=`);
    output.append(value);
  }
}
