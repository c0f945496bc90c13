import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { MalformedBytesError } from "../../src/base/bytes.ts";
import { type RecordSpans, spansOf } from "../../src/base/record-spans.ts";
import {
  type CatalogueCommand,
  decodeCatalogueCommand,
  encodeCatalogueCommand,
} from "../../src/topics/catalogue-commands.ts";
import { decodeEntry, encodeEntry, type ProposedCommand } from "../../src/topics/commands.ts";
import { TOPIC_SETTINGS } from "../../src/topics/settings.ts";
import type { TopicSettingName, TopicSettings } from "../../src/topics/topics.ts";
import { runGolden } from "../support/golden.ts";
import { listOf } from "../support/spans.ts";
import { commandsOf } from "./catalogue-arbitrary.ts";

const number = fc.maxSafeNat();
const clockUs = number;
const settingName = fc.constantFrom(...(Object.keys(TOPIC_SETTINGS) as TopicSettingName[]));
const settings: fc.Arbitrary<TopicSettings> = fc.dictionary(settingName, number);
const producerId = fc.stringMatching(/^[a-zA-Z0-9._-]{1,64}$/);

const append = fc
  .record({
    kind: fc.constant("append" as const),
    expectedNextOffset: fc.option(number, { nil: undefined }),
    producer: fc.option(fc.record({ id: producerId, epoch: number, sequence: number }), {
      nil: undefined,
    }),
    fencingToken: fc.option(number, { nil: undefined }),
    records: fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 10 }),
    gapBytes: fc.constantFrom(0, 1, 3, 20, 1_000),
  })
  .map(({ gapBytes, records, ...rest }) => ({ ...rest, records: withGaps(records, gapBytes) }));

/** One command, or several appends. */
const entry: fc.Arbitrary<ProposedCommand[]> = fc.oneof(
  fc.array(append, { minLength: 1, maxLength: 5 }),
  fc.record({ kind: fc.constant("open" as const), producerId }).map((command) => [command]),
  fc.record({ kind: fc.constant("trim" as const), beforeOffset: number }).map((one) => [one]),
  fc
    .record({
      kind: fc.constant("settings" as const),
      changes: settings,
      cleared: fc.uniqueArray(settingName),
    })
    .map((command) => [command]),
);

const binary = fc.string({ unit: "binary" }).map((text) => text.toWellFormed());
const catalogueCommand = commandsOf({
  ...{ number, topicId: number, topicCountMax: number, replicaId: number, version: number },
  ...{ factor: number, name: binary, nodeId: binary, text: binary, settings },
});

test("the commands of an entry come back as they were encoded", () => {
  fc.assert(
    fc.property(entry, clockUs, (commands, clock) => {
      assert.deepEqual(plain(decoded(encodeEntry(commands, clock))), plain({ commands, clock }));
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

test("records of a decoded append are places in the entry, not copies", () => {
  const payload = encodeEntry([appendOf(Uint8Array.of(1, 2), Uint8Array.of(3))], 1);
  const { records } = decodeEntry(payload);
  assert.equal(records.bytes, payload);
  assert.equal(records.count, 2);
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
    fc.property(entry, (commands) => refuses(decodeEntry, encodeEntry(commands, 7))),
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
  const valid = encodeEntry([appendOf(Uint8Array.of(7))], 1);
  const change = (at: number, value: number) => Uint8Array.from(valid).fill(value, at, at + 1);
  assert.throws(() => decodeEntry(change(0, 2)), /unknown version 2/);
  assert.throws(() => decodeEntry(change(1, 9)), /unknown kind 9/);
  assert.throws(() => decodeEntry(change(3, 8)), /unknown conditions 8/);
  assert.throws(() => decodeEntry(Uint8Array.of(1, 4, 0, 1, 99, 0, 0)), /tag 99/);
  assert.throws(() => decodeEntry(Uint8Array.of(1, 1, 0, 0, 0)), /no records/);
});

test("an unknown version, kind, field, state, role or flag of a catalogue command is an error", () => {
  const decode = (...bytes: number[]) => decodeCatalogueCommand(Uint8Array.of(...bytes));
  const update = [2, 3, 0, 1, 97];
  assert.equal(decode(...update, 1, 2).kind, "updateServer");
  assert.throws(() => decode(1, 1, 0), /unknown version 1/);
  assert.throws(() => decode(3, 1, 0), /unknown version 3/);
  assert.throws(() => decode(2, 0, 0), /unknown kind 0/);
  assert.throws(() => decode(2, 11, 0), /unknown kind 11/);
  assert.throws(() => decode(...update, 4), /unknown fields 4/);
  assert.throws(() => decode(...update, 1, 3), /state of a member has the tag 3/);
  assert.throws(() => decode(2, 4, 0, 1, 97, 2), /neither true nor false/);
  assert.throws(() => decode(2, 8, 0, 1, 1, 1, 1, 97, 3), /role of a replica has the tag 3/);
  assert.throws(() => decode(2, 6, 0, 1, 255, 0), /not valid UTF-8/);
});

test("counts of a shared entry that do not fit what follows are errors", () => {
  const valid = encodeEntry([appendOf(Uint8Array.of(7)), appendOf(Uint8Array.of(8))], 1);
  assert.equal(decodeEntry(valid).commands.length, 2);
  const change = (at: number, value: number) => Uint8Array.from(valid).fill(value, at, at + 1);
  for (const [at, value] of [
    [3, 0],
    [3, 1],
    [3, 3],
    [4, 1],
    [4, 3],
    [4, 127],
    [6, 2],
  ] as const) {
    assert.throws(() => decodeEntry(change(at, value)), MalformedBytesError, `${at}: ${value}`);
  }
});

// The bytes are on disk and, later, on other nodes: they may not change.
test("the bytes of every command are those of the golden file", async () => {
  await runGolden(new URL("testdata/commands.txt", import.meta.url), {
    topic: (input) => {
      const commands = parse(input);
      const [first] = commands;
      return hex(encodeEntry(commands, first.clockUs));
    },
    catalogue: (input) =>
      hex(encodeCatalogueCommand(parse(input)[0] as unknown as CatalogueCommand)),
  });
});

/** Records as they stand in a request: with something before each of them. */
function withGaps(records: readonly Uint8Array[], gapBytes: number): RecordSpans {
  const gap = new Uint8Array(gapBytes).fill(255);
  const { bytes, starts, ends, count } = spansOf(records.flatMap((record) => [gap, record]));
  const isRecord = (_: number, at: number) => at % 2 === 1;
  return { bytes, starts: starts.filter(isRecord), ends: ends.filter(isRecord), count: count / 2 };
}

function appendOf(...records: Uint8Array[]): ProposedCommand {
  return {
    kind: "append",
    expectedNextOffset: undefined,
    producer: undefined,
    fencingToken: undefined,
    records: spansOf(records),
  };
}

/** What an entry says, in the words of those who proposed it. */
function decoded(payload: Uint8Array): unknown {
  const { commands, records } = decodeEntry(payload);
  let at = 0;
  let clock: number | undefined;
  const proposed = commands.map(({ clockUs: own, ...command }) => {
    assert.equal(clock ?? own, own);
    clock = own;
    if (command.kind !== "append") return command;
    const { recordCount, ...rest } = command;
    const bodies = listOf(records).slice(at, at + recordCount);
    at += recordCount;
    return { ...rest, records: spansOf(bodies) };
  });
  assert.equal(records.count, at);
  return { commands: proposed, clock };
}

type Written = ProposedCommand & { readonly clockUs: number };

/** Records are written as texts in the golden file; several commands as a list. */
function parse(input: string): readonly [Written, ...Written[]] {
  const value: unknown = JSON.parse(input, (key, item: unknown) =>
    key === "records"
      ? spansOf((item as string[]).map((text) => new TextEncoder().encode(text)))
      : item,
  );
  return (Array.isArray(value) ? value : [value]) as unknown as [Written];
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0"))
    .join(" ")
    .replaceAll(/(.{47}) /g, "$1\n");
}

/** Without prototypes: fast-check makes objects without one. Records one by one. */
function plain(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (key, item: unknown) =>
      key === "records" ? listOf(item as RecordSpans).map((body) => [...body]) : item,
    ),
  );
}
