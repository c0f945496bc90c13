import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { cpSync, existsSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { CHECKED_TOPICS, Checker } from "./checker.ts";
import type { ClusterNode } from "./cluster-node.ts";
import { ClusterProcesses, freePort, until } from "./cluster-processes.ts";
import { ALL_FAULTS, runFaults, whyNot } from "./faults-run.ts";
import { makeFolder, removeFolder, runCommand } from "./server-process.ts";

// Goal: three executables are one log that keeps what it acknowledged. Method: steady load from
// producers and readers of all kinds while servers are killed, stopped and cut off; `npm run
// faults` does it for hours, with all faults. SEED=n repeats the random choices.
const SEED = Number(process.env["SEED"] ?? 1);
const MINUTES_MAX = 1;
const TRANSFER_MS_MAX = 20_000;
/** Faults last a part of what they last in a long run. */
const SCALE = 0.2;
const SMOKE = [
  "kill -9 of the leader",
  "kill -9 of all",
  "the leader is cut off",
  "rolling restart",
  "journal and topics are gone",
];

let dir = "";
before(() => {
  dir = makeFolder("cluster");
});
after(() => removeFolder(dir));

test(`nothing acknowledged is lost, doubled or moved by faults (seed ${SEED})`, async (context) => {
  const named = ALL_FAULTS.filter(({ name }) => SMOKE.includes(name));
  assert.equal(named.length, SMOKE.length);
  const faults = named.filter((fault) => {
    const why = whyNot(fault, dir);
    if (why !== undefined) context.diagnostic(`left out: ${fault.name}: ${why}`);
    return why === undefined;
  });
  const run = await runFaults({
    ...{ dir: join(dir, "faults"), size: 3, seed: SEED, faults },
    ...{ paceMs: 5, scale: SCALE, isOnceEach: true },
    endsAtMs: performance.now() + MINUTES_MAX * 60_000,
    say: (line) => context.diagnostic(line),
  });
  assert.deepEqual(run.violations, []);
  assert.ok(run.tally.acknowledged > 1_000, `only ${run.tally.acknowledged} were acknowledged`);
  assert.deepEqual([run.tally.lost, run.tally.duplicated, run.tally.reordered], [0, 0, 0]);
});

test("the checker finds out servers that are no cluster", async () => {
  const lone = await Promise.all(
    ["a", "b"].map((name) => ClusterProcesses.start({ dir: join(dir, name), size: 1 })),
  );
  try {
    const nodes = lone.flatMap((cluster) => cluster.nodes);
    for (const { calls } of nodes) {
      for (const topic of CHECKED_TOPICS.slice(1)) await calls.topics.createTopic({ topic });
    }
    const historyFile = join(dir, "lone.jsonl");
    const checker = new Checker({ nodes: () => nodes, seed: SEED, paceMs: 5, historyFile });
    await checker.start();
    await checker.whenAcknowledged(50, 20_000);
    const { lost } = await checker.finish(1_000);
    assert.ok(lost > 0);
    assert.match(checker.history.violations.join("\n"), /was seen before/);
  } finally {
    for (const cluster of lone) await cluster.close();
  }
});

test("a server on a copy of another one's data folder is kept out, and ends", {
  timeout: 120_000,
}, async () => {
  const cluster = await ClusterProcesses.start({ dir: join(dir, "copied") });
  const copy = { dir: join(dir, "copy"), address: `127.0.0.1:${await freePort()}` };
  try {
    const founders = cluster.nodes.map(({ address }) => address).join(",");
    const [original, ...others] = cluster.nodes;
    assert.ok(original !== undefined);
    const leads = ({ id }: ClusterNode) =>
      until("it leads", TRANSFER_MS_MAX, async () => {
        const { code } = await cluster.command("cluster", "transfer", "_cluster", id);
        return code === 0 ? true : undefined;
      });
    // All have votes: a copy of the only voter is a cluster by itself.
    for (const node of others) await leads(node);
    await original.stop();
    cpSync(original.place.dataDir, copy.dir, { recursive: true });
    await cluster.restart(original);
    await cluster.whenSettled();
    await leads(original); // it is who takes servers in, and must not take this one
    const args = ["--data-dir", copy.dir, "--listen", copy.address, "--join", founders];
    const { code, stderr } = await runCommand(["serve", ...args]);
    assert.equal(code, 1);
    assert.match(stderr, /SERVER_ID_IN_USE/);
    assert.match(stderr, /one of the two runs on a copy of its data folder/);
    await cluster.whenSettled();
    for (const { calls } of cluster.nodes)
      await calls.log.produce({ topic: "default", records: [{}] });
    const { servers } = await original.calls.cluster.listServers({});
    assert.ok(servers.some(({ address }) => address === original.address));
    assert.ok(servers.every(({ address }) => address !== copy.address));
  } finally {
    await cluster.close();
  }
});

test("scripts/cluster starts three servers that are one, stops them, and goes on with their data", async () => {
  const data = join(dir, "script");
  const port = 30_100 + (process.pid % 300) * 3;
  const addresses = [0, 1, 2].map((place) => `127.0.0.1:${port + place}`);
  const [first = "", second = "", third = ""] = addresses;
  await whileClusterRuns({ data, port }, async () => {
    await inCli(["produce", "default", "--server", first], "a\nb\n");
    assert.equal(await inCli(["consume", "default", "-n", "2", "--server", second]), "a\nb\n");
  });
  await whileClusterRuns({ data, port }, async () => {
    assert.equal(await inCli(["consume", "default", "-n", "2", "--server", third]), "a\nb\n");
  });
});

/** Runs the script until it says that all is up; ends it as Ctrl-C does. */
async function whileClusterRuns(
  { data, port }: { readonly data: string; readonly port: number },
  body: () => Promise<void>,
): Promise<void> {
  assert.ok(existsSync("scripts/cluster"));
  const child = spawn("scripts/cluster", ["--port", `${port}`, "--data", data], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = new Promise<number | null>((done) => child.once("exit", done));
  let said = "";
  const up = new Promise<void>((done, refuse) => {
    const take = (chunk: Buffer): void => {
      said += chunk.toString();
      if (said.includes("Ctrl-C stops them.")) done();
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    void ended.then((code) => refuse(new Error(`scripts/cluster ended with ${code}: ${said}`)));
  });
  try {
    await up;
    await body();
  } finally {
    child.kill("SIGINT");
  }
  assert.equal(await ended, 0, said);
  const pids = [...said.matchAll(/pid (\d+)/g)].map(([, pid]) => Number(pid));
  assert.equal(pids.length, 3, said);
  for (const pid of pids) assert.throws(() => process.kill(pid, 0), { code: "ESRCH" });
}

async function inCli(args: readonly string[], input = ""): Promise<string> {
  const { code, stdout, stderr } = await runCommand(args, { input });
  assert.equal(code, 0, stderr);
  return stdout.toString();
}
