import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { closeSync, existsSync, openSync } from "node:fs";
import { afterEach, beforeEach, test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { type Record as LogRecord, RecordSchema } from "../../src/gen/proglog/v1/record_pb.ts";
import { CliProcess, killLeftovers, runCli } from "./support/run-cli.ts";
import { refusal, StubServer } from "./support/stub-server.ts";

// Goal: the client's own behaviour, faults first. Method: the real command line in a process
// of its own against a server in memory that fails when told to.
let server: StubServer;
let env: { readonly PROGLOG_SERVER: string };
beforeEach(async () => {
  server = await new StubServer().start();
  env = { PROGLOG_SERVER: server.address };
});
afterEach(async () => {
  killLeftovers();
  await server.stop();
});

const values = () => server.records.map(({ value }) => Buffer.from(value).toString());

test("produce to a topic that is not there reads nothing and exits with 3", async () => {
  const process = new CliProcess(["produce", "nosuch"], env);
  // Standard input stays open: it must not be waited for.
  const { code, stderr } = await process.ended;
  assert.equal(code, 3);
  assert.match(stderr, /^proglog: Cannot find topic "nosuch": there is none\n/);
  assert.match(stderr, /proglog topic create NAME/);
});

test("a server that is not there is named, exit code 5", async () => {
  await server.stop();
  for (const args of [
    ["produce", "orders"],
    ["consume", "orders"],
    ["topic", "get", "orders"],
  ]) {
    const { code, stderr } = await runCli(args, { env });
    assert.equal(code, 5);
    assert.equal(stderr, `proglog: Cannot call ${server.address}: connection refused\n`);
  }
  await server.start();
});

test("a refused batch names the line, what was acknowledged and what is unknown", async () => {
  server.onBatch = (batch) => {
    const place = batch.records.findIndex(({ value }) => Buffer.from(value).toString() === "bad");
    if (place < 0) return;
    throw refusal("RECORD_TOO_LARGE", "Cannot append a record of 3 bytes: at most 2 are allowed", {
      recordNumber: String(place),
    });
  };
  const process = new CliProcess(["produce", "orders"], env);
  process.write("a\nb\n");
  while (server.records.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
  const { code, stderr } = await process.end("c\nbad\n");
  assert.equal(code, 1);
  assert.match(
    stderr,
    /^proglog: Cannot append line 4 of standard input: Cannot append a record of 3/,
  );
  assert.match(stderr, /Produced 2 records to orders, offsets 0-1\n$/);
  assert.deepEqual(values(), ["a", "b"]);
});

test("a condition that does not hold exits with 4", async () => {
  server.onBatch = () => {
    throw refusal("PRODUCER_FENCED", 'Cannot append: producer "p" was opened again elsewhere');
  };
  const { code, stderr } = await runCli(["produce", "orders", "--producer-id", "p"], {
    env,
    input: "a\n",
  });
  assert.equal(code, 4);
  assert.match(stderr, /Cannot append line 1 of standard input/);
});

test("a bad JSON line ends it, after the good lines before it were appended", async () => {
  const input = '{"value":"a"}\n{"value":"b","key":"k"}\n{"vaule":"c"}\n{"value":"d"}\n';
  const { code, stderr } = await runCli(["produce", "orders", "--input", "json"], { env, input });
  assert.equal(code, 1);
  assert.match(
    stderr,
    /^proglog: Cannot read line 3 of standard input: "vaule" is not a known key/,
  );
  assert.match(stderr, /Produced 2 records to orders, offsets 0-1\n$/);
  assert.deepEqual(values(), ["a", "b"]);
});

test("without a producer a lost connection ends it, and says what is unknown", async () => {
  server.onBatch = () => new Promise(() => server.cut());
  const { code, stderr } = await runCli(["produce", "orders"], { env, input: "a\nb\n" });
  assert.equal(code, 5, stderr);
  assert.match(stderr, /Lines 1-2 may have been appended or not: there was no answer/);
  assert.match(stderr, /With --producer-id/);
});

test("with a producer a lost answer is asked for again, and each record is there once", async () => {
  let cuts = 0;
  server.onAppended = () => {
    cuts += 1;
    if (cuts === 1) server.cut();
  };
  const input = Array.from({ length: 500 }, (_, place) => `line ${place}\n`).join("");
  const args = ["produce", "orders", "--producer-id", "p", "--batch-records", "50"];
  const { code, stderr } = await runCli(args, { env, input });
  assert.equal(code, 0, stderr);
  assert.equal(values().join("\n"), input.trimEnd());
  assert.match(stderr, /Lost .*; trying again\nproglog: Connected to .* again\n/);
  assert.match(stderr, /Produced 500 records to orders, offsets 0-499\n$/);
});

test("with a producer it gives up after the time it was given", async () => {
  server.onBatch = () => new Promise(() => server.cut());
  const args = ["produce", "orders", "--producer-id", "p", "--retry-for", "100ms"];
  const { code, stderr } = await runCli(args, { env, input: "a\n" });
  assert.equal(code, 5, stderr);
  assert.match(stderr, /Line 1 may have been appended or not/);
});

test("an idle producer outlives a restart of the server", async () => {
  const process = new CliProcess(["produce", "orders"], env);
  process.write("a\n");
  while (server.records.length < 1) await new Promise((resolve) => setTimeout(resolve, 5));
  await server.restart();
  const { code, stderr } = await process.end("b\n");
  assert.equal(code, 0, stderr);
  assert.deepEqual(values(), ["a", "b"]);
});

test("the first interrupt acknowledges what was read and drops half a line", async () => {
  const process = new CliProcess(["produce", "orders"], env);
  process.write("a\nhal");
  while (server.records.length < 1) await new Promise((resolve) => setTimeout(resolve, 5));
  process.child.kill("SIGINT");
  const { code, stderr } = await process.ended;
  assert.equal(code, 130);
  assert.match(stderr, /Produced 1 record to orders, offset 0\n$/);
  assert.deepEqual(values(), ["a"]);
});

test("a file that is not there is noticed before the server is called", async () => {
  const nowhere = { PROGLOG_SERVER: "127.0.0.1:1" };
  const missing = await runCli(["produce", "orders", "/no/such/file"], { env: nowhere });
  assert.equal(missing.code, 1);
  assert.equal(
    missing.stderr,
    "proglog: Cannot read /no/such/file: there is no such file or folder\n",
  );
  const folder = await runCli(["produce", "orders", "/"], { env: nowhere });
  assert.match(folder.stderr, /Cannot read \/: it is a folder/);
});

const hasFullDevice = existsSync("/dev/full");
test("standard output that is full is told in words", { skip: !hasFullDevice }, async () => {
  const full = openSync("/dev/full", "w");
  const main = new URL("../../src/main.ts", import.meta.url).pathname;
  const child = spawn(process.execPath, [main, "version"], { stdio: ["ignore", full, "pipe"] });
  let said = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  const code = await new Promise((resolve) => child.once("close", resolve));
  closeSync(full);
  assert.equal(code, 1);
  assert.equal(said, "proglog: Cannot write standard output: the disk is full\n");
});

test("half a surrogate pair in JSON is refused, not changed", async () => {
  for (const line of [
    '{"value":"\\ud800"}',
    '{"key":"\\udfff"}',
    '{"headers":[{"name":"\\ud800x","value":""}]}',
  ]) {
    const { code, stderr } = await runCli(["produce", "orders", "--input", "json"], {
      env,
      input: line,
    });
    assert.equal(code, 1);
    assert.match(stderr, /Cannot read line 1 of standard input: .* half a surrogate pair/);
  }
  const whole = { env, input: '{"value":"\\ud83d\\ude00"}' };
  assert.equal((await runCli(["produce", "orders", "--input", "json"], whole)).code, 0);
  assert.deepEqual(values(), ["😀"]);
});

test("a retention that is too short is told in units", async () => {
  const { code, stderr } = await runCli(["topic", "create", "t", "--retention-age", "500ms"]);
  assert.equal(code, 2);
  assert.match(stderr, /"500ms" is out of range, write 0 or 1s to 100000d/);
  assert.match(stderr, /Try: proglog topic create --help/);
});

test("bytes go in and come out as they are", async () => {
  const input = Buffer.concat([Buffer.from([0, 255, 13]), Buffer.from("\n\né\nlast")]);
  assert.equal((await runCli(["produce", "orders"], { env, input })).code, 0);
  assert.equal(server.records.length, 4);
  const { code, stdout, stderr } = await runCli(["consume", "orders"], { env });
  assert.equal(code, 0, stderr);
  assert.deepEqual(stdout, Buffer.concat([input, Buffer.from("\n")]));
});

test("JSON goes round with keys, headers and bytes that are no text", async () => {
  const flags = ["-k", "key", "-H", "a=1", "-H", "a=2"];
  await runCli(["produce", "orders", ...flags], { env, input: Buffer.from([255, 10]) });
  const first = await runCli(["consume", "orders", "--format", "json"], { env });
  await runCli(["produce", "orders", "--input", "json"], { env, input: first.stdout });
  const second = await runCli(["consume", "orders", "--format", "json", "--offset", "1"], { env });
  const { offset, time, ...rest } = JSON.parse(second.stdout.toString()) as Record<string, unknown>;
  assert.equal(offset, 1);
  assert.match(String(time), /Z$/);
  assert.deepEqual(rest, {
    key: "key",
    valueBase64: "/w==",
    headers: [
      { name: "a", value: "1" },
      { name: "a", value: "2" },
    ],
  });
});

test("consume -n stops exactly there, also at 0 and while following", async () => {
  await runCli(["produce", "orders"], { env, input: "a\nb\nc\n" });
  const consume = async (...args: string[]) =>
    (await runCli(["consume", "orders", ...args], { env })).stdout.toString();
  assert.equal(await consume("-n", "2"), "a\nb\n");
  assert.equal(await consume("-n", "0"), "");
  assert.equal(await consume("-n", "2", "--follow"), "a\nb\n");
  assert.equal(await consume("--offset", "-1"), "c\n");
  assert.equal(await consume("--offset", "end"), "");
  assert.equal(await consume("--offset", "1", "-n", "1"), "b\n");
});

test("consume --follow goes on where it was after the server was gone, and tells", async () => {
  await runCli(["produce", "orders"], { env, input: "a\nb\n" });
  const process = new CliProcess(["consume", "orders", "--follow"], env);
  await process.until(() => process.stdout === "a\nb\n");
  await server.restart();
  await runCli(["produce", "orders"], { env, input: "c\n" });
  await process.until(() => process.stdout === "a\nb\nc\n");
  process.child.kill("SIGINT");
  const { code, stderr } = await process.ended;
  assert.equal(code, 130);
  assert.match(
    stderr,
    /^proglog: Lost .*; trying again\nproglog: Connected to .* again, before \d\n$/,
  );
});

test("a reader that goes away ends consume quietly", async () => {
  await runCli(["produce", "orders"], { env, input: "line\n".repeat(50_000) });
  const process = new CliProcess(["consume", "orders"], env);
  process.child.stdout?.once("data", () => process.child.stdout?.destroy());
  const { code, stderr } = await process.ended;
  assert.equal(code, 0);
  assert.equal(stderr, "");
});

test("destroying without a terminal needs --yes", async () => {
  for (const args of [
    ["topic", "delete", "orders"],
    ["topic", "trim", "orders", "--before", "1"],
  ]) {
    const { code, stderr } = await runCli(args, { env });
    assert.equal(code, 2);
    assert.match(stderr, /standard input is not a terminal, add --yes/);
  }
});

test("wrong usage exits with 2 before the server is called", async () => {
  for (const args of [
    ["consume", "orders", "--format", "%x"],
    ["consume", "orders", "--offset", "x"],
    ["consume", "orders", "-n", "x"],
    ["produce", "orders", "-H", "novalue"],
    ["produce", "orders", "--input", "json", "-k", "x"],
    ["produce", "orders", "--batch-records", "0"],
    ["produce", "orders", "--batch-bytes", "1"],
    ["produce", "orders", "--retry-for", "soon"],
    ["topic", "update", "orders"],
    ["topic", "get", "orders", "--server", "nowhere"],
    ["topic", "get", "orders", "--client-cert", "/dev/null"],
    ["topic", "get", "orders", "--timeout", "5"],
    [],
  ]) {
    const { code, stdout } = await runCli(args, { env: { PROGLOG_SERVER: "127.0.0.1:1" } });
    assert.equal(code, 2, args.join(" "));
    assert.equal(stdout.length, 0);
  }
});

test("with several servers, produce goes on at the next one, and nothing is appended twice", async () => {
  const next = await new StubServer().start();
  next.share(server);
  try {
    let isCut = false;
    server.onAppended = () => {
      if (isCut) return;
      isCut = true;
      // The batch is appended, and nobody learns of it: the server dies.
      void server.stop();
    };
    const several = { PROGLOG_SERVER: `127.0.0.1:1,${server.address},${next.address}` };
    const process = new CliProcess(["produce", "orders"], several);
    process.write("a\n");
    await process.until(() => process.stderr.includes("trying again"));
    const { code, stderr } = await process.end("b\n");
    assert.equal(code, 0, stderr);
    assert.match(stderr, new RegExp(`Lost ${server.address}: .*; trying again`));
    assert.match(stderr, new RegExp(`Connected to ${next.address}\n`));
    assert.match(stderr, /Produced 2 records to orders/);
    assert.deepEqual(values(), ["a", "b"]);
    const [first, again] = server.requests;
    assert.match(first?.producer?.id ?? "", /^proglog-cli-/);
    assert.deepEqual(again?.producer, first?.producer, "the same batch, of the same producer");
  } finally {
    await next.stop();
    await server.start();
  }
});

test("with several servers, consume goes on at the next one where it was, also to a fixed end", async () => {
  const next = await new StubServer().start();
  next.share(server);
  try {
    for (let number = 0; number < 6; number += 1) server.records.push(record(`${number}`));
    server.recordsPerMessage = 2;
    server.onMessage = (end) => {
      if (end === 4) void server.stop();
    };
    const several = { PROGLOG_SERVER: `${server.address},${next.address}` };
    const { code, stdout, stderr } = await runCli(["consume", "orders"], { env: several });
    assert.equal(code, 0, stderr);
    assert.equal(stdout.toString(), "0\n1\n2\n3\n4\n5\n");
    assert.match(stderr, new RegExp(`Connected to ${next.address}, before `));
  } finally {
    await next.stop();
    await server.start();
  }
});

test("with several servers that are all gone, they are named, exit code 5", async () => {
  const { code, stderr } = await runCli(["consume", "orders"], {
    env: { PROGLOG_SERVER: "127.0.0.1:1,127.0.0.1:2" },
  });
  assert.equal(code, 5);
  assert.equal(stderr, "proglog: Cannot call 127.0.0.1:1, 127.0.0.1:2: connection refused\n");
});

function record(text: string): LogRecord {
  return create(RecordSchema, { value: Buffer.from(text) });
}
