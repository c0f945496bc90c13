import assert from "node:assert/strict";
import { test } from "node:test";
import { seedsFromEnv } from "../support/prng.ts";
import { FaultRun } from "./fault-run.ts";

const SEEDS = Number(process.env["SEEDS"] ?? 10);

for (const seed of seedsFromEnv(SEEDS)) {
  test(`replicas agree and lose nothing that was acknowledged (SEED=${seed})`, async () => {
    const result = await new FaultRun(seed).run(40);
    if (process.env["SEED"] !== undefined) console.log(JSON.stringify(result));
    assert.ok(result.acknowledged > 0, "nothing was acknowledged");
  });
}
