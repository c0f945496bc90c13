import { Code } from "@connectrpc/connect";
import { ErrorInfoSchema } from "../../../src/gen/google/rpc/error_details_pb.ts";
import {
  type Check,
  expect,
  expectCode,
  expectEqual,
  makeTopic,
  pause,
  readAll,
  type Subject,
  text,
  textOf,
} from "./check.ts";
import { Tail } from "./tail.ts";

const DEADLINE_MS = 300;
/** Far more than any deadline here: who waits so long waits for the server's answer. */
const LONG_WAIT = { seconds: 10n } as const;
const LONG_WAIT_MS = 10_000;
/** More than the connections a browser opens to one HTTP/1.1 server, which are 6. */
const CANCELLED_TAILS = 10;

function produceText({ log }: Subject, topic: string, value: string) {
  return log.produce({ topic, records: [{ value: text(value) }] });
}

const consume: Check = async (subject) => {
  const topic = await makeTopic(subject);
  const nothing = await subject.log.consume({ topic });
  expectEqual(nothing.records.length, 0, "the number of records of an empty topic");
  for (const value of ["a", "b", "c"]) await produceText(subject, topic, value);
  const read = async (request: Parameters<Subject["log"]["consume"]>[0]) => {
    const answer = await subject.log.consume({ topic, ...request });
    return [answer.records.map(textOf).join(""), answer.resumeOffset, answer.highWatermark];
  };
  expectEqual(await read({}), ["abc", 3n, 3n], "the topic");
  expectEqual(await read({ maxRecords: 2 }), ["ab", 2n, 3n], "two records at most");
  const from = (value: bigint) => ({ start: { case: "offset", value } }) as const;
  expectEqual(await read(from(1n)), ["bc", 3n, 3n], "the topic from offset 1");
  expectEqual(await read(from(3n)), ["", 3n, 3n], "the topic from its end");
  const last = { start: { case: "lastRecords", value: 1n } } as const;
  expectEqual(await read(last), ["c", 3n, 3n], "the last record");
};

const consumeLongPoll: Check = async (subject) => {
  const topic = await makeTopic(subject);
  const began = performance.now();
  const answer = subject.log.consume({ topic, wait: LONG_WAIT });
  // Long enough for the call to be waiting when the record comes.
  await pause(100);
  await produceText(subject, topic, "awaited");
  expectEqual((await answer).records.map(textOf), ["awaited"], "what the long poll got");
  expect(performance.now() - began < LONG_WAIT_MS, "the long poll waited to its end");
  const start = { case: "offset", value: 1n } as const;
  const empty = await subject.log.consume({ topic, start, wait: { nanos: 100_000_000 } });
  expectEqual([empty.records.length, empty.resumeOffset], [0, 1n], "a long poll without records");
};

/** Each record is produced only after the one before was seen: nothing on the way may hold one back. */
const tail: Check = async (subject) => {
  const topic = await makeTopic(subject);
  await produceText(subject, topic, "before");
  const reader = new Tail(subject, topic);
  await reader.seen(1);
  const wanted = ["before"];
  for (let number = 1; number <= 20; number += 1) {
    await produceText(subject, topic, `live ${number}`);
    wanted.push(`live ${number}`);
    await reader.seen(wanted.length);
  }
  expectEqual(reader.records.map(textOf), wanted, "what the tail saw");
  expectEqual(reader.resumeOffset, BigInt(wanted.length), "the resume offset");
  await reader.cancel();
  const second = new Tail(subject, topic, reader.resumeOffset);
  await produceText(subject, topic, "resumed");
  await second.seen(1);
  expectEqual(second.records.map(textOf), ["resumed"], "what was seen from the resume offset on");
  await second.cancel();
};

const errorDetails: Check = async (subject) => {
  const topic = `${subject.prefix}-not-there`;
  const unary = await expectCode(subject.log.consume({ topic }), Code.NotFound);
  const stream = await new Tail(subject, topic).end;
  expectEqual(stream?.code, Code.NotFound, "the code of the stream's end");
  for (const error of [unary, stream]) {
    const infos = error?.findDetails(ErrorInfoSchema) ?? [];
    expectEqual(infos.length, 1, "the number of ErrorInfo");
    expectEqual(
      [infos[0]?.reason, infos[0]?.domain, infos[0]?.metadata["topic"]],
      ["TOPIC_NOT_FOUND", "proglog", topic],
      "the ErrorInfo",
    );
  }
};

const deadline: Check = async (subject) => {
  const topic = await makeTopic(subject);
  const began = performance.now();
  const late = subject.log.consume({ topic, wait: LONG_WAIT }, { timeoutMs: DEADLINE_MS });
  await expectCode(late, Code.DeadlineExceeded);
  expect(performance.now() - began < LONG_WAIT_MS, "the call did not end at its deadline");
  await produceText(subject, topic, "afterwards");
  expectEqual((await readAll(subject, topic)).map(textOf), ["afterwards"], "the topic");
};

const cancel: Check = async (subject) => {
  const topic = await makeTopic(subject);
  for (let count = 1; count <= CANCELLED_TAILS; count += 1) {
    const reader = new Tail(subject, topic);
    await reader.begun();
    await reader.cancel();
    await produceText(subject, topic, `${count}`);
  }
  const controller = new AbortController();
  const end = { case: "offset", value: BigInt(CANCELLED_TAILS) } as const;
  const call = subject.log.consume(
    { topic, start: end, wait: LONG_WAIT },
    { signal: controller.signal },
  );
  setTimeout(() => controller.abort(), 50);
  await expectCode(call, Code.Canceled);
  expectEqual((await readAll(subject, topic)).length, CANCELLED_TAILS, "the number of records");
};

export const READ_CHECKS: Readonly<Record<string, Check>> = {
  consume,
  "consume-long-poll": consumeLongPoll,
  tail,
  "error-details": errorDetails,
  deadline,
  cancel,
};
