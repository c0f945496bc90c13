// The tests' own tools: a broken one would let everything else pass.
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { pathToFileURL } from "node:url";
import { runGolden } from "../support/golden.ts";
import { makeRandom, SeededRandom, seedsFromEnv } from "../support/prng.ts";
import { SimClock, settle } from "../support/sim-clock.ts";

describe("runGolden()", () => {
  const commands = {
    upper: (input: string) => input.toUpperCase().trimEnd() || "-",
    count: async (input: string) => `lines=${input.split("\n").length - 1}`,
  };

  test("passes a file whose outputs are right", () =>
    runGolden(new URL("testdata/golden.txt", import.meta.url), commands));

  test("fails on a wrong output, an unknown command, no separator and no block at all", async (t) => {
    keepUpdates(t);
    const cases: readonly (readonly [string, RegExp])[] = [
      ["upper\na\n----\nB\n", /B/],
      ["lower\na\n----\na\n", /no command "lower"/],
      ["upper\na\n", /without "----"/],
      ["# nothing\n", /no block/],
      ["", /no block/],
    ];
    for (const [text, wanted] of cases) {
      await withGolden(text, (file) => assert.rejects(runGolden(file, commands), wanted));
    }
  });

  test("rewrites the outputs when it is told to, and nothing else", async (t) => {
    const text = "# c\n\nupper\na\n----\nwrong\nlines\n\n# d\ncount\n----\n?\n";
    keepUpdates(t);
    await withGolden(text, async (file) => {
      process.env["UPDATE_GOLDEN"] = "1";
      await runGolden(file, commands);
      const got = await readFile(file, "utf8");
      assert.equal(got, "# c\n\nupper\na\n----\nA\n\n# d\ncount\n----\nlines=0\n");
    });
  });
});

describe("SimClock", () => {
  test("fires timers in order of time, then of scheduling, at their time", async () => {
    const clock = new SimClock();
    const fired: string[] = [];
    const note = (name: string) => () => fired.push(`${name}@${clock.monotonicMs()}`);
    clock.schedule(20, note("late"));
    clock.schedule(10, note("first"));
    clock.schedule(10, note("second"));
    clock.schedule(10, note("cancelled"))();
    clock.schedule(-5, note("now"));
    assert.equal(clock.timerCount, 4);
    await clock.advance(9);
    assert.deepEqual(fired, ["now@0"]);
    await clock.advance(1);
    await clock.advance(100);
    assert.deepEqual(fired, ["now@0", "first@10", "second@10", "late@20"]);
    assert.equal(clock.monotonicMs(), 110);
    assert.equal(clock.timerCount, 0);
  });

  test("lets promises settle between timers, and fires those that are scheduled meanwhile", async () => {
    const clock = new SimClock();
    const fired: number[] = [];
    const repeat = async (): Promise<void> => {
      for (let turn = 0; turn < 50; turn += 1) await undefined;
      fired.push(clock.monotonicMs());
      clock.schedule(10, () => void repeat());
    };
    void repeat();
    await clock.advance(35);
    assert.deepEqual(fired, [0, 10, 20, 30]);
  });

  test("has a wall clock that goes with it, and can be set", async () => {
    const clock = new SimClock();
    const start = clock.wallUs();
    await clock.advance(1.5);
    assert.equal(clock.wallUs() - start, 1500);
    clock.jumpWall(-1_000_000);
    assert.equal(clock.wallUs() - start, -998_500);
    assert.equal(clock.monotonicMs(), 1.5);
  });

  test("settle() waits for chains of promises of any length", async () => {
    let turns = 0;
    const chain = (async () => {
      for (; turns < 10_000; turns += 1) await undefined;
    })();
    await settle();
    assert.equal(turns, 10_000);
    await chain;
  });
});

describe("seeded randomness", () => {
  test("repeats from its seed, differs by seed, and fills its range", () => {
    const take = (seed: number) => Array.from({ length: 1000 }, makeRandom(seed));
    assert.deepEqual(take(7), take(7));
    assert.notDeepEqual(take(7), take(8));
    assert.ok(take(7).every((value) => value >= 0 && value < 1));
    for (let tenth = 0; tenth < 10; tenth += 1) {
      const count = take(7).filter((value) => Math.floor(value * 10) === tenth).length;
      assert.ok(count > 50 && count < 150, `${count} of 1000 in tenth ${tenth}`);
    }
    assert.equal(makeRandom(1)(), 0.6270739405881613);
  });

  test("SeededRandom gives safe integers and bytes that repeat", () => {
    const random = new SeededRandom(3);
    const numbers = Array.from({ length: 100 }, () => random.safeInteger());
    assert.ok(numbers.every((number) => Number.isSafeInteger(number) && number >= 0));
    assert.ok(numbers.some((number) => number > 2 ** 52));
    assert.deepEqual(new SeededRandom(3).bytes(9), new SeededRandom(3).bytes(9));
    assert.equal(random.bytes(0).length, 0);
  });

  test("seedsFromEnv() gives the seed that is asked for alone", (t) => {
    const before = process.env["SEED"];
    t.after(() => {
      if (before === undefined) delete process.env["SEED"];
      else process.env["SEED"] = before;
    });
    delete process.env["SEED"];
    assert.deepEqual(seedsFromEnv(3), [1, 2, 3]);
    process.env["SEED"] = "17";
    assert.deepEqual(seedsFromEnv(3), [17]);
    process.env["SEED"] = "x";
    assert.throws(() => seedsFromEnv(3), /SEED/);
  });
});

/** Clears the setting for this test, whatever the whole run was started with. */
function keepUpdates(t: TestContext): void {
  const before = process.env["UPDATE_GOLDEN"];
  delete process.env["UPDATE_GOLDEN"];
  t.after(() => {
    if (before === undefined) delete process.env["UPDATE_GOLDEN"];
    else process.env["UPDATE_GOLDEN"] = before;
  });
}

async function withGolden(text: string, work: (file: URL) => Promise<void>): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), "proglog-golden-"));
  try {
    const path = join(root, "x.txt");
    await writeFile(path, text);
    await work(pathToFileURL(path));
  } finally {
    await rm(root, { recursive: true });
  }
}
