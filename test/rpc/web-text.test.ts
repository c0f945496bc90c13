import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import {
  ConsumeRequestSchema,
  ConsumeStreamRequestSchema,
  ConsumeStreamResponseSchema,
  ProduceResponseSchema,
} from "../../src/gen/proglog/v1/log_service_pb.ts";
import { RecordSchema } from "../../src/gen/proglog/v1/record_pb.ts";
import { startApi, text, until } from "./api.ts";
import { envelope, produceRequest } from "./raw-calls.ts";
import {
  ANSWER_TYPE,
  assertReason,
  base64,
  CONSUME,
  CONSUME_STREAM,
  callText,
  decodeGroups,
  type Frame,
  framesOf,
  type HttpVersion,
  openText,
  PRODUCE,
  produceText,
  RECORD_BYTES,
  TEXT_TYPE as TYPE,
} from "./text-calls.ts";

// Goal: gRPC-Web in base64, as the official client speaks it, whatever way the text is
// cut. Method: text by hand, over both versions of HTTP.

const VERSIONS: readonly HttpVersion[] = ["HTTP/1.1", "HTTP/2"];
const GOOD = produceText();
const GOOD_TAIL = base64(
  envelope(toBinary(ConsumeStreamRequestSchema, create(ConsumeStreamRequestSchema))),
);

/** What is no base64, around a whole message. */
const INVALID: Readonly<Record<string, (good: string) => string>> = {
  "other characters": (good) => `${good}A*AA`,
  "the alphabet of addresses": (good) => `${good}A-_A`,
  "a line's end": (good) => `${good.slice(0, 5)}\n${good.slice(5)}`,
  "bytes that are not ASCII": (good) => `${good}\xc3\xbc==`,
  "padding at the begin of a group": (good) => `=${good}`,
  "padding after one character": (good) => `A===${good}`,
  "a character after padding": (good) => `${good}AA=A`,
  "three characters of padding": (good) => `${good}AA===`,
  "a group that was cut off": (good) => `${good}AAA`,
  "padding that was cut off": (good) => `${good}AA=`,
  "frames without base64": (good) => Buffer.from(good, "base64").toString("latin1"),
};

for (const version of VERSIONS) {
  test(`text that is no base64 is refused, with a reason (${version})`, async (t) => {
    const outcomes: unknown[] = [];
    const { port, topics } = await startApi(t, {
      hook: () => (end) => {
        outcomes.push(end.outcome?.reason);
      },
    });
    for (const [what, spoil] of Object.entries(INVALID)) {
      for (const [path, good] of [
        [PRODUCE, GOOD],
        [CONSUME_STREAM, GOOD_TAIL],
      ] as const) {
        const answer = await callText(t, port, version, { path, pieces: [spoil(good)] });
        assert.deepEqual(answer.messages, [], what);
        assertReason(answer, "MESSAGE_INVALID", Code.InvalidArgument);
        assert.match(answer.error?.rawMessage ?? "", /^Cannot read the request's text: it /, what);
      }
    }
    assert.equal(topics.topic("default").batches.length, 0);
    assert.deepEqual([...new Set(outcomes)], ["MESSAGE_INVALID"], "what is told of the calls");
  });

  test(`errors are in the text, and say why (${version})`, async (t) => {
    const { port } = await startApi(t);
    const missing = { topic: "nope" };
    const consume = base64(
      envelope(toBinary(ConsumeRequestSchema, create(ConsumeRequestSchema, missing))),
    );
    for (const path of [CONSUME, CONSUME_STREAM]) {
      const answer = await callText(t, port, version, { path, pieces: [consume] });
      assert.deepEqual(assertReason(answer, "TOPIC_NOT_FOUND", Code.NotFound), missing);
    }
    const bytes = { path: PRODUCE, pieces: [base64(envelope(Uint8Array.of(0xff)))] };
    assertReason(await callText(t, port, version, bytes), "MESSAGE_INVALID", Code.InvalidArgument);
    const wait = create(ConsumeRequestSchema, { topic: "default", wait: { seconds: 60n } });
    const late = await callText(t, port, version, {
      path: CONSUME,
      pieces: [base64(envelope(toBinary(ConsumeRequestSchema, wait)))],
      headers: { "grpc-timeout": "30m" },
    });
    assertReason(late, "DEADLINE_EXCEEDED", Code.DeadlineExceeded);
  });

  test(`a body may be cut at any byte (${version})`, async (t) => {
    const { port, topics } = await startApi(t);
    const { length } = GOOD;
    assert.ok(length > 40);
    const cuts = Array.from({ length: length - 1 }, (_, at) => [
      GOOD.slice(0, at + 1),
      GOOD.slice(at + 1),
    ]);
    for (const pieces of [[GOOD], [...GOOD], ...cuts]) {
      const answer = await callText(t, port, version, { path: PRODUCE, pieces });
      assert.equal(answer.error, undefined);
      assert.equal(answer.type, ANSWER_TYPE);
      const [message = new Uint8Array(), ...others] = answer.messages;
      assert.equal(others.length, 0);
      const { firstOffset } = fromBinary(ProduceResponseSchema, message);
      assert.equal(firstOffset, BigInt(topics.topic("default").batches.length - 1));
    }
    assert.equal(topics.topic("default").batches.length, length + 1);
  });

  test(`a body may be of several pieces with padding each (${version})`, async (t) => {
    const { port, topics } = await startApi(t);
    const bytes = envelope(produceRequest(RECORD_BYTES));
    for (let size = 1; size < bytes.length; size += 1) {
      const parts: string[] = [];
      for (let at = 0; at < bytes.length; at += size) {
        parts.push(base64(bytes.subarray(at, at + size)));
      }
      const call = { path: PRODUCE, pieces: [parts.join("")] };
      assert.equal((await callText(t, port, version, call)).error, undefined, `${size} bytes each`);
    }
    assert.equal(topics.topic("default").batches.length, bytes.length - 1);
  });

  test(`Accept says how to answer, else the request does (${version})`, async (t) => {
    const { port } = await startApi(t);
    const binary = Buffer.from(envelope(produceRequest(RECORD_BYTES))).toString("latin1");
    const web = "application/grpc-web+proto";
    for (const [type, accept] of [
      [TYPE, undefined],
      [TYPE, TYPE],
      [TYPE, "*/*"],
      [ANSWER_TYPE, ANSWER_TYPE],
      ["Application/gRPC-Web-Text; charset=utf-8", undefined],
      [web, TYPE],
      ["application/grpc-web", ANSWER_TYPE],
    ] as const) {
      const pieces = [type.includes("ext") ? GOOD : binary];
      const headers = { "content-type": type, ...(accept === undefined ? {} : { accept }) };
      const answer = await callText(t, port, version, { path: PRODUCE, pieces, headers });
      assert.equal(answer.error, undefined, `${type}, ${accept}`);
      assert.equal(answer.type, ANSWER_TYPE, `${type}, ${accept}`);
    }
  });

  test(`a tail's messages are whole groups of text as they come (${version})`, async (t) => {
    const { port, topics } = await startApi(t);
    const topic = topics.topic("default");
    const tailRequest = create(ConsumeStreamRequestSchema, { topic: "default", endOffset: 20n });
    // Records of other lengths than those before, so that all paddings occur.
    const seen: string[] = [];
    const call = {
      path: CONSUME_STREAM,
      pieces: [base64(envelope(toBinary(ConsumeStreamRequestSchema, tailRequest)))],
    };
    const tail = await openText(t, port, version, call);
    for (let number = 0; number < 20; number += 1) {
      topic.append(
        toBinary(RecordSchema, create(RecordSchema, { value: text("x".repeat(number)) })),
      );
      await until(() => {
        const whole = framesOf(decodeGroups(tail.body));
        const offsets = whole.filter(({ flags }) => flags === 0).flatMap(offsetsOf);
        return offsets.at(-1) === BigInt(number);
      });
      seen.push(tail.body);
    }
    const { error, messages, type } = await tail.ended;
    assert.equal(error, undefined);
    assert.equal(type, ANSWER_TYPE);
    const offsets = messages.flatMap((content) => offsetsOf({ content }));
    assert.deepEqual(
      offsets,
      Array.from({ length: 20 }, (_, at) => BigInt(at)),
    );
    const paddings = new Set(seen.map((body) => /=*$/.exec(body)?.[0].length));
    assert.deepEqual([...paddings].sort(), [0, 1, 2], "all paddings occurred");
  });
}

function offsetsOf({ content }: Pick<Frame, "content">): bigint[] {
  return fromBinary(ConsumeStreamResponseSchema, content).records.map(({ offset }) => offset);
}
