import { type Client, Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { Log } from "../../../src/gen/log/v1/log_pb.ts";
import { LogService } from "../../../src/gen/proglog/v1/log_service_pb.ts";
import type { ConsumedRecord } from "../../../src/gen/proglog/v1/record_pb.ts";
import { TopicService } from "../../../src/gen/proglog/v1/topic_service_pb.ts";

/** What a check calls, and how it makes the server die and come back. */
export interface Subject {
  readonly log: Client<typeof LogService>;
  readonly topics: Client<typeof TopicService>;
  readonly seed: Client<typeof Log>;
  /** Begins the names of all topics. */
  readonly prefix: string;
  /** Resolves when the server was killed and listens again at the same place. */
  restart(): Promise<void>;
}

/** A check passes when it returns. It runs in Node and in browsers, so it uses neither's modules. */
export type Check<S = Subject> = (subject: S) => Promise<void>;

export function subjectOf(transport: Transport, prefix: string, restart: () => Promise<void>) {
  return {
    log: createClient(LogService, transport),
    topics: createClient(TopicService, transport),
    seed: createClient(Log, transport),
    prefix,
    restart,
  } satisfies Subject;
}

/**
 * Runs checks one after the other, and tells of each as `ok <name>` or
 * `not ok <name>: <why>`.
 *
 * @returns true when all passed
 */
export async function runChecks<S>(
  checks: Readonly<Record<string, Check<S>>>,
  subject: S,
  tell: (line: string) => void,
): Promise<boolean> {
  let isGood = true;
  for (const [name, check] of Object.entries(checks)) {
    try {
      await check(subject);
      tell(`ok ${name}`);
    } catch (thrown) {
      isGood = false;
      tell(`not ok ${name}: ${explain(thrown)}`);
    }
  }
  return isGood;
}

/** On one line, with the place, since the program's output is all that is left of a run. */
function explain(thrown: unknown): string {
  const said = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
  return said.split("\n").slice(0, 4).join(" | ");
}

/** @throws {Error} with `what` when `isTrue` is false */
export function expect(isTrue: boolean, what: string): asserts isTrue {
  if (!isTrue) throw new Error(what);
}

/** Compares numbers, texts, bytes and lists of them. @throws {Error} that shows both */
export function expectEqual(found: unknown, wanted: unknown, what: string): void {
  const [shownFound, shownWanted] = [show(found), show(wanted)];
  if (shownFound === shownWanted) return;
  throw new Error(`${what} is ${shownFound.slice(0, 200)}, not ${shownWanted.slice(0, 200)}`);
}

function show(value: unknown): string {
  if (value instanceof Uint8Array) return `bytes(${value.join(",")})`;
  if (Array.isArray(value)) return `[${value.map(show).join(", ")}]`;
  return typeof value === "bigint" ? `${value}n` : JSON.stringify(value);
}

/** Checks that a call fails with `code`. */
export async function expectCode(call: Promise<unknown>, code: Code): Promise<ConnectError> {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => ConnectError.from(thrown),
  );
  expect(error !== undefined, `the call succeeded, wanted ${Code[code]}`);
  expect(error.code === code, `the code is ${Code[error.code]}, wanted ${Code[code]}: ${error}`);
  return error;
}

let topicCount = 0;

/** Makes a topic with a name of its own. @returns the name */
export async function makeTopic(
  { topics, prefix }: Subject,
  settings: { readonly maxRecordBytes?: number } = {},
): Promise<string> {
  topicCount += 1;
  const [random = 0] = crypto.getRandomValues(new Uint32Array(1));
  const topic = `${prefix}-${random.toString(36)}-${topicCount}`;
  await topics.createTopic({ topic, settings });
  return topic;
}

/** Reads a topic from an offset to its end, in as many calls as it takes. */
export async function readAll(
  { log }: Subject,
  topic: string,
  from = 0n,
): Promise<ConsumedRecord[]> {
  const records: ConsumedRecord[] = [];
  for (let offset = from; ; ) {
    const answer = await log.consume({ topic, start: { case: "offset", value: offset } });
    records.push(...answer.records);
    if (answer.resumeOffset === answer.highWatermark) return records;
    expect(answer.resumeOffset > offset, `no progress at offset ${offset}`);
    offset = answer.resumeOffset;
  }
}

export function text(value: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(value);
}

export function textOf(record: ConsumedRecord): string {
  return new TextDecoder().decode(record.record?.value);
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
