import assert from "node:assert/strict";
import { rmSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import { makeFolder, RealServer, removeFolder } from "../support/real-server.ts";
import { CliProcess, killLeftovers, runCli } from "../support/run-cli.ts";

// Goal: how a server's life begins and ends. Method: real processes and real signals.
let dir = "";
let place = 0;
const running: RealServer[] = [];
before(() => {
  dir = makeFolder();
});
afterEach(async () => {
  for (const server of running.splice(0)) await server.kill();
});
after(() => {
  killLeftovers();
  removeFolder(dir);
});

function dataDir(): string {
  place += 1;
  return join(dir, `data-${place}`);
}

async function start(data: string, flags: readonly string[] = []): Promise<RealServer> {
  const server = await RealServer.start(data, flags);
  running.push(server);
  return server;
}

test("says once that it listens, in a plain line, whatever the log's format", async () => {
  for (const format of ["json", "text"]) {
    const server = await start(dataDir(), ["--log-format", format]);
    assert.match(server.address, /^127\.0\.0\.1:[1-9]\d*$/);
    const { code, stdout, stderr } = await server.stop();
    assert.equal(code, 0, stderr);
    assert.equal(stdout.length, 0, "logs and announcements go to standard error");
    const lines = stderr.trimEnd().split("\n");
    assert.deepEqual(
      lines.filter((line) => line.startsWith("listening")),
      [`listening on ${server.address}`],
    );
    const others = lines.filter((line) => !line.startsWith("listening"));
    if (format === "json")
      for (const line of others) assert.equal(typeof JSON.parse(line), "object");
    else assert.match(others[0] ?? "", /^\d{4}-\S+Z INFO {2}The server is ready {2}address=/);
  }
});

test("makes its folder for its own user only", async () => {
  const data = join(dataDir(), "deeper");
  await start(data);
  assert.equal(statSync(data).mode & 0o777, 0o700);
});

test("a second server on the folder refuses, names the first and exits with 1", async () => {
  const data = dataDir();
  const first = await start(data);
  const second = await runCli(["serve", "--listen", "127.0.0.1:0", "--data-dir", data]);
  assert.equal(second.code, 1);
  assert.match(second.stderr, new RegExp(`process ${first.process.child.pid} uses it`));
  assert.doesNotMatch(second.stderr, /listening/);
});

test("a data folder that is a file, or that this user may not use, is told in words", async () => {
  const file = join(dir, "file");
  writeFileSync(file, "");
  const { code, stderr } = await runCli(["serve", "--data-dir", file, "--listen", "127.0.0.1:0"]);
  assert.equal(code, 1);
  assert.match(stderr, /^proglog: Cannot .*file: there is a file of that name, wanted a folder/);
});

test("a port that is taken is named, exit code 1", async () => {
  const first = await start(dataDir());
  const args = ["serve", "--listen", first.address, "--data-dir", dataDir()];
  const { code, stderr } = await runCli(args);
  assert.equal(code, 1);
  assert.equal(
    stderr,
    `proglog: Cannot listen on ${first.address}: another process listens there\n`,
  );
});

test("settings that cannot be used exit with 2 and leave no folder", async () => {
  const data = dataDir();
  const config = join(dir, "bad.toml");
  writeFileSync(config, 'lisen = "127.0.0.1:1"\n');
  for (const [flags, message] of [
    [["--listen", "0.0.0.0:0"], /add --allow-insecure-public/],
    [["--sync", "maybe"], /write always or none/],
    [["--config", config], /"lisen" is not a setting. Did you mean "listen"\?/],
    [["--tls-cert", config, "--tls-key", config], /Cannot use .* for TLS/],
    [
      ["--tls-cert", "/nonexistent", "--tls-key", config],
      /Cannot read \/nonexistent for --tls-cert: there is no such file/,
    ],
  ] as const) {
    const { code, stderr } = await runCli(["serve", "--data-dir", data, ...flags]);
    assert.equal(code, 2, stderr);
    assert.match(stderr, message);
    const checked = await runCli(["serve", "--check-config", "--data-dir", data, ...flags]);
    assert.equal(checked.code, 2);
  }
  assert.throws(() => statSync(data), /ENOENT/);
  const fine = await runCli(["serve", "--check-config", "--data-dir", data]);
  assert.equal(fine.code, 0);
  assert.throws(() => statSync(data), /ENOENT/);
});

test("config show tells values and where they come from", async () => {
  const config = join(dir, "good.toml");
  writeFileSync(config, 'data-dir = "/file"\ntopics-max = 5\n');
  const env = { PROGLOG_CONFIG: config, PROGLOG_SYNC: "none", PROGLOG_SINC: "x" };
  const { code, stdout, stderr } = await runCli(
    ["config", "show", "-o", "json", "--data-dir", "/flag"],
    { env },
  );
  assert.equal(code, 0);
  assert.match(stderr, /Warning: PROGLOG_SINC is not a setting.*Did you mean "PROGLOG_SYNC"/);
  const entries = stdout.toString().trimEnd().split("\n");
  const byName = new Map(
    entries.map((line) => {
      const { name, value, origin } = JSON.parse(line) as Record<string, string>;
      return [name, [value, origin]];
    }),
  );
  assert.deepEqual(byName.get("data-dir"), ["/flag", "flag"]);
  assert.deepEqual(byName.get("sync"), ["none", "environment"]);
  assert.deepEqual(byName.get("topics-max"), ["5", "file"]);
  assert.deepEqual(byName.get("listen"), ["127.0.0.1:8400", "default"]);
});

test("SIGTERM and SIGINT stop it cleanly, and the next start has nothing to recover", async () => {
  const data = dataDir();
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    const server = await start(data);
    await server.run(["produce", "default"], "a\nb\n");
    server.process.child.kill(signal);
    const { code, stderr } = await server.process.ended;
    assert.equal(code, 0, stderr);
    const survey = await runCli(["log", "inspect", data, "-o", "json"]);
    const { journal } = JSON.parse(survey.stdout.toString()) as {
      readonly journal: { readonly isCleanStop: boolean };
    };
    assert.equal(journal.isCleanStop, true);
  }
});

test("a reader that follows is told of the stop, and goes on with the next server", async () => {
  const data = dataDir();
  const first = await start(data);
  await first.run(["produce", "default"], "a\n");
  const env = { PROGLOG_SERVER: first.address };
  const reader = new CliProcess(["consume", "default", "--follow"], env);
  await reader.until(() => reader.stdout === "a\n");
  assert.equal((await first.stop()).code, 0);
  await reader.until(() => /Lost .*stopping; trying again/.test(reader.stderr));
  const second = await start(data, ["--listen", first.address]);
  await second.run(["produce", "default"], "b\n");
  await reader.until(() => reader.stdout === "a\nb\n");
  // Not gently this time.
  await second.kill();
  const third = await start(data, ["--listen", first.address]);
  await third.run(["produce", "default"], "c\n");
  await reader.until(() => reader.stdout === "a\nb\nc\n");
  reader.child.kill("SIGINT");
  assert.equal((await reader.ended).code, 130);
});

test("a call that is in flight when it is told to stop is answered, and what it wrote stays", async () => {
  const data = dataDir();
  const server = await start(data);
  const [host = "", port = ""] = server.address.split(":");
  const socket = connect(Number(port), host);
  const body = '{"topic":"default","records":[{"value":"aGVsbG8="}]}';
  let answer = "";
  socket.on("data", (chunk: Buffer) => {
    answer += chunk.toString();
  });
  socket.write(
    "POST /proglog.v1.LogService/Produce HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" +
      `Content-Length: ${body.length}\r\n\r\n${body.slice(0, 10)}`,
  );
  await new Promise((resolve) => setTimeout(resolve, 300));
  server.process.child.kill("SIGTERM");
  await server.process.until(() => server.process.stderr.includes("is stopping"));
  socket.write(body.slice(10));
  const { code, stderr } = await server.process.ended;
  assert.equal(code, 0, stderr);
  assert.match(answer, /^HTTP\/1.1 200 /);
  assert.match(answer, /"firstOffset":"0"/);
  const next = await start(data);
  assert.equal((await next.run(["consume", "default"])).stdout.toString(), "hello\n");
});

test("a second signal ends it at once, although a call is still in flight", async () => {
  const server = await start(dataDir(), ["--drain-timeout", "1h"]);
  const [host = "", port = ""] = server.address.split(":");
  const socket = connect(Number(port), host);
  socket.on("error", () => {});
  // A request whose body never ends.
  socket.write(
    "POST /proglog.v1.LogService/Produce HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" +
      "Content-Length: 1000\r\n\r\n{",
  );
  await new Promise((resolve) => setTimeout(resolve, 300));
  server.process.child.kill("SIGTERM");
  await server.process.until(() => server.process.stderr.includes("is stopping"));
  server.process.child.kill("SIGTERM");
  const { code, stderr } = await server.process.ended;
  assert.equal(code, 130);
  assert.match(stderr, /\nproglog: Interrupted again: ends at once/);
  socket.destroy();
});

test("a disk that fails ends it with a clear error and exit code 1; what was synced stays", async () => {
  const data = dataDir();
  const server = await start(data, ["--journal-file-bytes", "1MiB"]);
  assert.equal((await server.run(["produce", "default"], "kept\n")).code, 0);
  // The next file of the journal cannot be made.
  rmSync(join(data, "journal"), { recursive: true });
  const input = `${"x".repeat(1000)}\n`.repeat(10_000);
  const produced = await server.run(["produce", "default"], input);
  assert.notEqual(produced.code, 0);
  const { code, stderr } = await server.process.ended;
  assert.equal(code, 1, stderr);
  assert.match(stderr, /"level":"error"/);
});
