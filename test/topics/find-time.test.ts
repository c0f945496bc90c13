import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { findTime } from "../../src/topics/find-time.ts";

test("findTime() gives the first record at or after a time, in few reads", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.nat({ max: 30 }), { maxLength: 200 }),
      fc.nat({ max: 50 }),
      fc.nat({ max: 31 }),
      async (unsorted, first, timeUs) => {
        const times = unsorted.toSorted((left, right) => left - right);
        let reads = 0;
        const found = await findTime(
          { first, next: first + times.length, timeUs },
          async (offset) => {
            reads += 1;
            const time = times[offset - first];
            assert.ok(time !== undefined, `read ${offset}, outside of the topic`);
            return time;
          },
        );
        const place = times.findIndex((time) => time >= timeUs);
        assert.equal(found, first + (place < 0 ? times.length : place));
        assert.ok(reads <= 8);
      },
    ),
  );
});
