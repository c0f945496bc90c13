import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { MalformedBytesError } from "../../src/base/bytes.ts";
import {
  type CatalogueCommand,
  decodeCatalogueCommand,
  encodeCatalogueCommand,
} from "../../src/topics/catalogue-commands.ts";
import { decodeCommand, encodeCommand, type TopicCommand } from "../../src/topics/commands.ts";
import { TOPIC_SETTINGS } from "../../src/topics/settings.ts";
import type { TopicSettingName, TopicSettings } from "../../src/topics/topics.ts";
import { runGolden } from "../support/golden.ts";

const number = fc.maxSafeNat();
const clockUs = number;
const settingName = fc.constantFrom(...(Object.keys(TOPIC_SETTINGS) as TopicSettingName[]));
const settings: fc.Arbitrary<TopicSettings> = fc.dictionary(settingName, number);
const producerId = fc.stringMatching(/^[a-zA-Z0-9._-]{1,64}$/);

const topicCommand: fc.Arbitrary<TopicCommand> = fc.oneof(
  fc.record({
    kind: fc.constant("append" as const),
    clockUs,
    expectedNextOffset: fc.option(number, { nil: undefined }),
    producer: fc.option(fc.record({ id: producerId, epoch: number, sequence: number }), {
      nil: undefined,
    }),
    fencingToken: fc.option(number, { nil: undefined }),
    records: fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 10 }),
  }),
  fc.record({ kind: fc.constant("open" as const), clockUs, producerId }),
  fc.record({ kind: fc.constant("trim" as const), clockUs, beforeOffset: number }),
  fc.record({
    kind: fc.constant("settings" as const),
    clockUs,
    changes: settings,
    cleared: fc.uniqueArray(settingName),
  }),
);

const catalogueCommand: fc.Arbitrary<CatalogueCommand> = fc.oneof(
  fc.record({
    kind: fc.constant("create" as const),
    clockUs,
    name: fc.string({ unit: "binary" }).map((text) => text.toWellFormed()),
    topicCountMax: number,
    settings,
  }),
  fc.record({
    kind: fc.constant("delete" as const),
    clockUs,
    name: fc.string(),
    topicId: number,
  }),
  fc.record({ kind: fc.constant("removed" as const), clockUs, topicId: number }),
);

test("a topic command comes back as it was encoded", () => {
  fc.assert(
    fc.property(topicCommand, (command) => {
      assert.deepEqual(plain(decodeCommand(encodeCommand(command))), plain(command));
    }),
  );
});

test("a catalogue command comes back as it was encoded", () => {
  fc.assert(
    fc.property(catalogueCommand, (command) => {
      const decoded = decodeCatalogueCommand(encodeCatalogueCommand(command));
      assert.deepEqual(plain(decoded), plain(command));
    }),
  );
});

test("records of a decoded append are views into the entry, not copies", () => {
  const payload = encodeCommand(append([Uint8Array.of(1, 2), Uint8Array.of(3)]));
  const command = decodeCommand(payload);
  assert.ok(command.kind === "append");
  for (const record of command.records) assert.equal(record.buffer, payload.buffer);
});

// Goal: no replica takes for a command what another takes for damage. Method: cut each command at every byte, and
// lengthen it; nothing but the whole may decode.
test("a command that is cut anywhere or has a byte more is malformed", () => {
  const refuses = (decode: (payload: Uint8Array) => unknown, payload: Uint8Array) => {
    for (let cut = 0; cut < payload.length; cut += 1) {
      assert.throws(() => decode(payload.subarray(0, cut)), MalformedBytesError, `cut at ${cut}`);
    }
    const longer = new Uint8Array(payload.length + 1);
    longer.set(payload);
    assert.throws(() => decode(longer), MalformedBytesError);
  };
  fc.assert(
    fc.property(topicCommand, (command) => refuses(decodeCommand, encodeCommand(command))),
    { numRuns: 50 },
  );
  fc.assert(
    fc.property(catalogueCommand, (command) =>
      refuses(decodeCatalogueCommand, encodeCatalogueCommand(command)),
    ),
    { numRuns: 50 },
  );
});

test("an unknown version, kind, condition or setting is an error, never passed over", () => {
  const valid = encodeCommand(append([Uint8Array.of(7)]));
  const change = (at: number, value: number) => Uint8Array.from(valid).fill(value, at, at + 1);
  assert.throws(() => decodeCommand(change(0, 2)), /unknown version 2/);
  assert.throws(() => decodeCommand(change(1, 9)), /unknown kind 9/);
  assert.throws(() => decodeCommand(change(3, 8)), /unknown conditions 8/);
  assert.throws(() => decodeCommand(Uint8Array.of(1, 4, 0, 1, 99, 0, 0)), /tag 99/);
  assert.throws(() => decodeCommand(Uint8Array.of(1, 1, 0, 0, 0)), /no records/);
  assert.throws(() => decodeCatalogueCommand(Uint8Array.of(3, 1, 0)), /unknown version 3/);
  assert.throws(() => decodeCatalogueCommand(Uint8Array.of(1, 9, 0)), /unknown kind 9/);
});

// The bytes are on disk and, later, on other nodes: they may not change.
test("the bytes of every command are those of the golden file", async () => {
  await runGolden(new URL("testdata/commands.txt", import.meta.url), {
    topic: (input) => hex(encodeCommand(parse(input) as TopicCommand)),
    catalogue: (input) => hex(encodeCatalogueCommand(parse(input) as CatalogueCommand)),
  });
});

function append(records: Uint8Array[]): TopicCommand {
  return {
    kind: "append",
    clockUs: 1,
    expectedNextOffset: undefined,
    producer: undefined,
    fencingToken: undefined,
    records,
  };
}

/** Records are written as texts in the golden file. */
function parse(input: string): unknown {
  return JSON.parse(input, (key, value: unknown) =>
    key === "records" ? (value as string[]).map((text) => new TextEncoder().encode(text)) : value,
  );
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0"))
    .join(" ")
    .replaceAll(/(.{47}) /g, "$1\n");
}

/** Without prototypes: fast-check makes objects without one. */
function plain(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_, item: unknown) => (item instanceof Uint8Array ? [...item] : item)),
  );
}
