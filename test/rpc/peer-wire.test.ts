import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { concat } from "../../src/base/bytes.ts";
import { hasReason } from "../../src/base/errors.ts";
import {
  type Hello,
  HelloSchema,
  PayloadRequestSchema,
} from "../../src/gen/proglog/internal/v1/peer_service_pb.ts";
import { crc32 } from "../../src/platform/crc32.ts";
import { CoreMessageType } from "../../src/raft/core.ts";
import type { RaftEnvelope } from "../../src/raft/transport.ts";
import { readLength } from "../../src/rpc/lean/envelope.ts";
import { encodeRequest, toOutgoing } from "../../src/rpc/peer/peer-encoder.ts";
import { PeerReader } from "../../src/rpc/peer/peer-reader.ts";
import { changes, mutate } from "../fuzz/support/mutations.ts";
import { runs } from "../fuzz/support/runs.ts";
import { append, coreMessage } from "./peer-world.ts";

const ENVELOPE_BYTES = 5;
const MESSAGES_MAX = 1_000;

interface Found {
  readonly envelopes: RaftEnvelope[];
  readonly hellos: Hello[];
  readonly clocks: number[];
}

function read(bytes: Uint8Array, messagesMax = MESSAGES_MAX): Found {
  const found: Found = { envelopes: [], hellos: [], clocks: [] };
  new PeerReader(messagesMax).read(bytes, {
    onHello: (hello) => found.hellos.push(hello),
    onMessage: (envelope) => found.envelopes.push(envelope),
    onClock: (unixUs) => found.clocks.push(unixUs),
  });
  return found;
}

/** The request of `envelopes` without the envelope of gRPC, which is checked. */
function encode(
  envelopes: readonly RaftEnvelope[],
  head: Uint8Array = new Uint8Array(0),
): Uint8Array {
  const whole = concat(encodeRequest(head, envelopes.map(toOutgoing)));
  assert.equal(readLength(whole, 0), whole.length - ENVELOPE_BYTES);
  return whole.slice(ENVELOPE_BYTES);
}

const id = fc.oneof(fc.nat(200), fc.nat(), fc.maxSafeNat());
const size = fc.oneof(fc.nat(300), fc.constantFrom(16_383, 16_384, 16_385, 70_000));
const payload = size.map((length) => new Uint8Array(length).fill(length & 255));
const envelope: fc.Arbitrary<RaftEnvelope> = fc
  .record({
    topicId: id,
    fromReplica: id,
    toReplica: id,
    index: fc.maxSafeNat(),
    payloads: fc.option(fc.array(payload, { minLength: 1, maxLength: 4 }), { nil: undefined }),
    isQuiesce: fc.boolean(),
  })
  .map(({ index, isQuiesce, payloads, ...route }) => {
    const message = coreMessage(CoreMessageType.append, index);
    if (payloads !== undefined) return { ...route, message, payloads };
    return isQuiesce ? { ...route, message, isQuiesce } : { ...route, message };
  });

// Goal: what is written by hand is what the proto file says. Method: the library reads it.
test("a request is a PayloadRequest, whatever is in it", () => {
  fc.assert(
    fc.property(fc.array(envelope, { maxLength: 5 }), (envelopes) => {
      const { messages } = fromBinary(PayloadRequestSchema, encode(envelopes));
      assert.equal(messages.length, envelopes.length);
      for (const [at, { route, message, payloads, payloadCrcs, isQuiesce }] of messages.entries()) {
        const wanted = envelopes[at];
        assert.ok(wanted !== undefined);
        assert.equal(Number(route?.topicId), wanted.topicId);
        assert.equal(Number(route?.sourceReplicaId), wanted.fromReplica);
        assert.equal(Number(route?.targetReplicaId), wanted.toReplica);
        assert.deepEqual(message, wanted.message);
        assert.equal(isQuiesce, wanted.isQuiesce ?? false);
        assert.deepEqual(
          payloadCrcs,
          (wanted.payloads ?? []).map((bytes) => crc32(bytes)),
        );
        assert.deepEqual(payloads, wanted.payloads ?? []);
      }
    }),
  );
});

test("what was written is read again", () => {
  fc.assert(
    fc.property(fc.array(envelope, { maxLength: 5 }), (envelopes) => {
      assert.deepEqual(read(encode(envelopes)).envelopes, envelopes);
    }),
  );
});

test("large payloads are not copied, neither when they are written nor when they are read", () => {
  const large = new Uint8Array(70_000).fill(3);
  const pieces = encodeRequest(new Uint8Array(0), [toOutgoing(append(1, large))]);
  assert.ok(pieces.includes(large));
  const bytes = concat(pieces).slice(ENVELOPE_BYTES);
  assert.equal(read(bytes).envelopes[0]?.payloads?.[0]?.buffer, bytes.buffer);
});

test("a payload with another CRC than was sent with it is refused", () => {
  const bytes = encode([append(1, Uint8Array.of(1, 2, 3))]);
  bytes[bytes.length - 1] = 4;
  assert.throws(() => read(bytes), /payload 0 does not have the CRC/);
});

test("a payload without a CRC, and a CRC without a payload, are refused", () => {
  const message = coreMessage(CoreMessageType.append);
  const payloads = [Uint8Array.of(1)];
  for (const fields of [{ payloads }, { payloadCrcs: [1] }, { payloads, payloadCrcs: [1, 2] }]) {
    const request = create(PayloadRequestSchema, { messages: [{ message, ...fields }] });
    assert.throws(() => read(toBinary(PayloadRequestSchema, request)), /one CRC for each payload/);
  }
});

test("more messages than a request may have are refused", () => {
  const bytes = encode([append(1), append(2), append(3)]);
  assert.throws(() => read(bytes, 2), /too many messages/);
});

test("ids above 2^53 - 1 are refused, not rounded", () => {
  const route = { topicId: 2n ** 53n };
  const messages = [{ route, message: coreMessage(CoreMessageType.append) }];
  const request = create(PayloadRequestSchema, { messages });
  assert.throws(() => read(toBinary(PayloadRequestSchema, request)), /above 2\^53-1/);
});

test("a message that is none of the core's is refused", () => {
  for (const length of [0, 61, 80]) {
    const messages = [{ message: new Uint8Array(length).fill(255) }];
    const request = create(PayloadRequestSchema, { messages });
    assert.throws(() => read(toBinary(PayloadRequestSchema, request)), /no message of the core/);
  }
});

// Goal: nothing that comes breaks the reader, and nothing wrong gets through. Method: break requests
// at random; whatever is read has whole core messages and payloads that fit their CRCs.
test("broken bytes are refused with MESSAGE_INVALID, or read as something whole", () => {
  const hello = toBinary(HelloSchema, create(HelloSchema, { clusterId: "a", protocol: 1 }));
  const head = concat([Uint8Array.of(0x0a, hello.length), hello]);
  fc.assert(
    fc.property(fc.array(envelope, { maxLength: 3 }), changes(4), (envelopes, broken) => {
      try {
        read(mutate(encode(envelopes, head), broken));
      } catch (thrown) {
        assert.ok(hasReason(thrown, "MESSAGE_INVALID"), String(thrown));
      }
    }),
    runs(500),
  );
});

// Goal: no length inside reaches beyond what it is in. Method: every byte of a request is made a lie.
test("a length that lies is refused, and none of what is beyond it is taken for a payload", () => {
  const secret = Uint8Array.from({ length: 40 }, () => 0xee);
  const bytes = encode([append(1, Uint8Array.of(1, 2, 3)), append(2, secret)]);
  for (let at = 0; at < bytes.length; at += 1) {
    for (const lie of [0, 1, 0x7f, 0x80, 0xff, (bytes[at] ?? 0) + 1, (bytes[at] ?? 0) + 40]) {
      const broken = bytes.slice();
      broken[at] = lie;
      try {
        for (const { payloads = [] } of read(broken).envelopes) {
          for (const found of payloads) {
            const isWhole = found.length === 3 || found.length === 40 || found.length === 0;
            assert.ok(isWhole, `byte ${at} as ${lie}: a payload of ${found.length} bytes`);
          }
        }
      } catch (thrown) {
        assert.ok(hasReason(thrown, "MESSAGE_INVALID"), String(thrown));
      }
    }
  }
});
