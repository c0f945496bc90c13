import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { makeRandom } from "../support/prng.ts";
import { makeFolder, removeFolder, ServerProcess } from "./server-process.ts";

// Goal: a killed server forgets nothing that it acknowledged. Method: load the
// real executable from several clients at once, kill -9 it at a random moment,
// start it again on the same folder, read everything, compare. KILLS=n SEED=n
// make it longer or repeat its random choices (not the scheduling).
const KILLS = Number(process.env["KILLS"] ?? 20);
const SEED = Number(process.env["SEED"] ?? 1);
const WRITERS = 8;
const TOPICS = ["default", "orders", "audit-log"];
/** Small, so that the kills also hit rotation, recycling and checkpoints. */
const FLAGS = ["--journal-file-bytes", "1MiB", "--checkpoint-bytes", "2MiB"];

interface Written {
  readonly topic: string;
  /** `writer:number` of each record of the batch. */
  readonly values: readonly string[];
  /** Undefined: no answer came, so all or none of it may be there. */
  readonly firstOffset: number | undefined;
}

let dir = "";
before(() => {
  dir = makeFolder("kill");
});
after(() => removeFolder(dir));

test(`acknowledged records survive ${KILLS} kills, once and in order (seed ${SEED})`, async () => {
  const random = makeRandom(SEED);
  const written: Written[] = [];
  const nextNumbers = new Array<number>(WRITERS).fill(0);
  let server = await ServerProcess.start(dir, { flags: FLAGS });
  await server
    .clients()
    .topics.createTopic({ topic: "orders", settings: { maxSegmentBytes: 65536 } });
  await server.clients().topics.createTopic({ topic: "audit-log", settings: {} });
  for (let kill = 0; kill < KILLS; kill += 1) {
    let stopped = false;
    const current = server;
    const writers = nextNumbers.map(async (_, writer) => {
      const { log } = current.clients();
      while (!stopped) {
        const topic = TOPICS[Math.floor(random() * TOPICS.length)] ?? "default";
        const values: string[] = [];
        for (let count = 1 + Math.floor(random() * 20); count > 0; count -= 1) {
          values.push(`${writer}:${nextNumbers[writer]}`);
          nextNumbers[writer] = (nextNumbers[writer] ?? 0) + 1;
        }
        const padding = new Uint8Array(Math.floor(random() * 500));
        const records = values.map((value) => ({ key: Buffer.from(value), value: padding }));
        try {
          const answer = await log.produce({ topic, records });
          written.push({ topic, values, firstOffset: Number(answer.firstOffset) });
        } catch {
          written.push({ topic, values, firstOffset: undefined });
          // The connection is gone, and with it this writer.
          if (!stopped) await new Promise((go) => setTimeout(go, 5));
        }
      }
    });
    await new Promise((go) => setTimeout(go, 100 + random() * 400));
    await current.kill();
    stopped = true;
    await Promise.all(writers);
    server = await ServerProcess.start(dir, { flags: FLAGS });
    await check(server, written);
  }
  const acknowledged = written.filter((batch) => batch.firstOffset !== undefined).length;
  assert.ok(acknowledged > KILLS * 10, `only ${acknowledged} batches were acknowledged`);
  assert.equal(await server.stop(), 0, server.errors);
});

async function check(server: ServerProcess, written: readonly Written[]): Promise<void> {
  for (const topic of TOPICS) {
    const found = await readAll(server, topic);
    const places = new Map<string, number>();
    for (const [offset, value] of found.entries()) {
      assert.equal(places.get(value), undefined, `${topic}: ${value} is there twice`);
      places.set(value, offset);
    }
    for (const { values, firstOffset } of written.filter((batch) => batch.topic === topic)) {
      if (firstOffset !== undefined) {
        const there = found.slice(firstOffset, firstOffset + values.length);
        assert.deepEqual(there, values, `${topic}: acknowledged at ${firstOffset}`);
        continue;
      }
      // No answer: all or none, and together.
      const first = places.get(values[0] ?? "");
      const there = values.map((value) => places.get(value));
      assert.deepEqual(
        there,
        values.map((_, index) => (first === undefined ? undefined : first + index)),
        `${topic}: part of a batch`,
      );
    }
  }
}

async function readAll(server: ServerProcess, topic: string): Promise<string[]> {
  const { log } = server.clients();
  const values: string[] = [];
  for (;;) {
    const answer = await log.consume({
      topic,
      start: { case: "offset", value: BigInt(values.length) },
      maxRecords: 100_000,
    });
    if (answer.records.length === 0) return values;
    for (const record of answer.records) {
      assert.equal(Number(record.offset), values.length, `${topic}: offsets are not dense`);
      values.push(Buffer.from(record.record?.key ?? []).toString());
    }
  }
}
