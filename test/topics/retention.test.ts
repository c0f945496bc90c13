import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type RetainedSegment, trimByAge, trimBySize } from "../../src/topics/retention.ts";

interface Case {
  readonly segments: (RetainedSegment & { readonly lastUs: number })[];
  readonly startOffset: number;
  readonly retentionBytes: number;
  readonly retentionAgeMs: number;
  readonly nowUs: number;
}

const part = fc.record({
  records: fc.integer({ min: 1, max: 5 }),
  diskBytes: fc.integer({ min: 1, max: 100 }),
  laterUs: fc.nat({ max: 5_000 }),
});

const someTopic: fc.Arbitrary<Case> = fc
  .record({
    parts: fc.array(part, { minLength: 1, maxLength: 8 }),
    start: fc.nat({ max: 40 }),
    retentionBytes: fc.nat({ max: 300 }),
    retentionAgeMs: fc.nat({ max: 12 }),
    afterUs: fc.nat({ max: 10_000 }),
  })
  .map(({ parts, start, retentionBytes, retentionAgeMs, afterUs }) => {
    let offset = 0;
    let timeUs = 0;
    const segments = parts.map(({ records, diskBytes, laterUs }, at) => {
      const base = offset;
      offset += records;
      timeUs += laterUs;
      const isOpen = at === parts.length - 1;
      return { base, nextOffset: offset, diskBytes, isOpen, lastUs: timeUs };
    });
    const startOffset = Math.min(start, offset);
    return { segments, startOffset, retentionBytes, retentionAgeMs, nowUs: timeUs + afterUs };
  });

function inputOf(topic: Case) {
  const last = topic.segments.at(-1);
  return {
    ...topic,
    nextOffset: last?.nextOffset ?? 0,
    lastAppendTimeUs: last?.lastUs,
  };
}

const timeOf = async (segment: RetainedSegment) => (segment as Case["segments"][number]).lastUs;

test("by size, closed segments go from the front until the rest fits, and no more", () => {
  fc.assert(
    fc.property(someTopic, (topic) => {
      const input = inputOf(topic);
      const trim = trimBySize(input);
      const left = topic.segments.filter((segment) => segment.nextOffset > trim);
      const size = left.reduce((sum, segment) => sum + segment.diskBytes, 0);
      assert.ok(trim >= topic.startOffset);
      if (topic.retentionBytes === 0) assert.equal(trim, topic.startOffset);
      else if (left.some((segment) => !segment.isOpen)) assert.ok(size <= topic.retentionBytes);
      if (trim > topic.startOffset) {
        const gone = topic.segments.find((segment) => segment.nextOffset === trim);
        assert.ok(gone !== undefined && !gone.isOpen, "cut inside a segment, or took the open one");
        assert.ok(size + gone.diskBytes > topic.retentionBytes, "took one too many");
      }
    }),
    { numRuns: 1000 },
  );
});

test("by age, what is older goes in whole segments, and nothing that is younger", async () => {
  let all = 0;
  await fc.assert(
    fc.asyncProperty(someTopic, async (topic) => {
      const input = inputOf(topic);
      const trim = await trimByAge(input, timeOf);
      const oldestUs = topic.nowUs - topic.retentionAgeMs * 1000;
      if (topic.retentionAgeMs === 0) {
        assert.equal(trim, topic.startOffset);
        return;
      }
      for (const segment of topic.segments) {
        if (segment.nextOffset <= trim && segment.nextOffset > topic.startOffset) {
          assert.ok(segment.lastUs < oldestUs, "a segment went that has a young record");
        }
      }
      const next = topic.segments.find((segment) => segment.nextOffset > trim);
      if (next === undefined) all += 1;
      else if (!next.isOpen) assert.ok(next.lastUs >= oldestUs, "an old closed segment stayed");
      else
        assert.ok((input.lastAppendTimeUs ?? 0) >= oldestUs, "an old topic kept its last segment");
    }),
    { numRuns: 1000, seed: 3 },
  );
  assert.ok(all > 0, "no topic was old as a whole");
});

test("by age, no more times are read than up to the first segment that stays", async () => {
  const closed = (base: number) => ({ base, nextOffset: base + 1, diskBytes: 1, isOpen: false });
  const asked: number[] = [];
  const trim = await trimByAge(
    {
      segments: [closed(0), closed(1), closed(2), closed(3), { ...closed(4), isOpen: true }],
      startOffset: 1,
      nextOffset: 5,
      lastAppendTimeUs: 10_000,
      nowUs: 10_000,
      retentionAgeMs: 5,
      retentionBytes: 0,
    },
    async ({ base }) => {
      asked.push(base);
      return base * 2_500;
    },
  );
  assert.equal(trim, 2);
  assert.deepEqual(asked, [1, 2]);
});

test("an empty topic is left alone", async () => {
  const input = {
    segments: [],
    startOffset: 3,
    nextOffset: 3,
    lastAppendTimeUs: undefined,
    nowUs: 1e9,
    retentionAgeMs: 1,
    retentionBytes: 1,
  };
  assert.equal(trimBySize(input), 3);
  assert.equal(await trimByAge(input, timeOf), 3);
});
