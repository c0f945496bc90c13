import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";
import {
  EXECUTABLE,
  makeFolder,
  removeFolder,
  runCommand,
  ServerProcess,
} from "./server-process.ts";

// Goal: what a person downloads works, alone, in a folder of its own.
let dir = "";
before(() => {
  dir = makeFolder("executable");
});
after(() => removeFolder(dir));

test("serves from an empty folder elsewhere, whatever lies in it", async () => {
  const cwd = makeFolder("cwd");
  // Files that the runtime inside the executable would read if it were let.
  writeFileSync(join(cwd, ".env"), "PROGLOG_DATA_DIR=/nonexistent/evil\n");
  writeFileSync(join(cwd, "bunfig.toml"), 'preload = ["./evil.ts"]\n');
  writeFileSync(join(cwd, "evil.ts"), 'require("node:fs").writeFileSync("evil.txt", "");\n');
  try {
    const server = await ServerProcess.start("data", { cwd });
    const { log } = server.clients();
    const answer = await log.produce({ topic: "default", records: [{ value: Buffer.from("hi") }] });
    assert.equal(answer.firstOffset, 0n);
    assert.equal(await server.stop(), 0, server.errors);
    assert.deepEqual(readdirSync(cwd).sort(), [".env", "bunfig.toml", "data", "evil.ts"]);
    assert.equal(statSync(join(cwd, "data")).mode & 0o777, 0o700);
  } finally {
    removeFolder(cwd);
  }
});

test("keeps records and settings over a clean restart", async () => {
  const data = join(dir, "restart");
  const first = await ServerProcess.start(data);
  await first.clients().topics.createTopic({ topic: "kept", settings: { maxRecordBytes: 2048 } });
  await first.clients().log.produce({ topic: "kept", records: [{ value: Buffer.from("a") }] });
  assert.equal(await first.stop(), 0, first.errors);
  const second = await ServerProcess.start(data);
  const { topics, log } = second.clients();
  const got = await topics.getTopic({ topic: "kept" });
  assert.equal(got.topic?.settings?.maxRecordBytes, 2048);
  assert.equal(got.status?.nextOffset, 1n);
  const read = await log.consume({ topic: "kept" });
  assert.equal(Buffer.from(read.records[0]?.record?.value ?? []).toString(), "a");
  assert.equal(await second.stop(), 0, second.errors);
});

test("refuses a data folder that another server uses, and names it", async () => {
  const data = join(dir, "locked");
  const first = await ServerProcess.start(data);
  const refusal = await ServerProcess.start(data).then(
    () => assert.fail("two servers on one folder"),
    (error: { readonly code: number; readonly said: string }) => error,
  );
  assert.equal(refusal.code, 1);
  assert.match(refusal.said, new RegExp(`\\b${first.pid}\\b`));
  // The first is none the worse for it.
  await first.clients().log.produce({ topic: "default", records: [{}] });
  await first.kill();
  // The holder is gone: its lock is taken over, however fresh it is.
  const next = await ServerProcess.start(data);
  assert.equal(await next.stop(), 0, next.errors);
});

test("a file goes in through a pipe and comes out identical", async () => {
  const data = join(dir, "roundtrip");
  const server = await ServerProcess.start(data);
  const sizeBytes = Number(process.env["ROUNDTRIP_BYTES"] ?? 64 * 2 ** 20);
  const file = join(dir, "input.jsonl");
  writeJsonLines(file, sizeBytes);
  const want = createHash("sha256").update(execFileSync("cat", [file], { maxBuffer: 2 ** 32 }));
  try {
    const shell = (line: string): string =>
      execFileSync("bash", ["-c", `set -o pipefail; ${line}`], {
        encoding: "utf8",
        env: { ...process.env, PROGLOG_SERVER: server.address },
      });
    shell(`'${EXECUTABLE}' produce default < '${file}'`);
    const got = shell(`'${EXECUTABLE}' consume default | sha256sum`).slice(0, 64);
    assert.equal(got, want.digest("hex"));
  } finally {
    assert.equal(await server.stop(), 0, server.errors);
  }
});

/** Lines of many lengths, empty ones among them, as logs have. */
function writeJsonLines(file: string, sizeBytes: number): void {
  writeFileSync(file, "");
  let made = 0;
  for (let part = 0; made < sizeBytes; part += 1) {
    const lines: string[] = [];
    for (let line = 0; line < 20_000; line += 1) {
      const pad = "x".repeat((part * 31 + line * 7) % 150);
      lines.push(line % 1000 === 0 ? "" : `{"part":${part},"line":${line},"text":"é ${pad}"}`);
    }
    const text = `${lines.join("\n")}\n`;
    writeFileSync(file, text, { flag: "a" });
    made += text.length;
  }
}

test("a full disk refuses writes, keeps reads, and goes on by itself", async (context) => {
  const mount = makeFolder("small-disk");
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=24m,mode=0700", "tmpfs", mount], {
      stdio: "ignore",
    });
  } catch {
    removeFolder(mount);
    context.skip("needs the right to mount a small file system");
    return;
  }
  try {
    const flags = ["--journal-file-bytes", "1MiB", "--checkpoint-bytes", "2MiB"];
    const data = join(mount, "data");
    let server = await ServerProcess.start(data, { flags });
    let { log, topics } = server.clients();
    await topics.createTopic({ topic: "other", settings: {} });
    await log.produce({ topic: "other", records: [{ value: Buffer.from("kept") }] });
    const value = randomBytes(200_000);
    let acknowledged = 0;
    let refusal: unknown;
    for (let tries = 0; tries < 500 && refusal === undefined; tries += 1) {
      try {
        await log.produce({ topic: "default", records: [{ value }] }, { timeoutMs: 5000 });
        acknowledged += 1;
      } catch (error) {
        refusal = error;
      }
    }
    assert.match(String(refusal), /resource_exhausted|deadline_exceeded/);
    // A start on a full disk works as well, however often it is tried.
    for (let kills = 0; kills < 2; kills += 1) {
      await server.kill();
      server = await ServerProcess.start(data, { flags });
    }
    ({ log, topics } = server.clients());
    // Reads go on, on a full disk too.
    const read = await log.consume({ topic: "other" });
    assert.equal(Buffer.from(read.records[0]?.record?.value ?? []).toString(), "kept");
    const status = await topics.getTopic({ topic: "default" });
    assert.ok(Number(status.status?.nextOffset) >= acknowledged);
    execFileSync("mount", ["-o", "remount,size=64m", mount]);
    let answer: bigint | undefined;
    for (let tries = 0; tries < 50 && answer === undefined; tries += 1) {
      try {
        answer = (await log.produce({ topic: "default", records: [{ value }] })).firstOffset;
      } catch {
        await new Promise((go) => setTimeout(go, 200));
      }
    }
    assert.ok(answer !== undefined && Number(answer) >= acknowledged, "never went on");
    assert.equal(await server.stop(), 0, server.errors);
    const again = await ServerProcess.start(data, { flags });
    const after = await again.clients().topics.getTopic({ topic: "default" });
    assert.ok(Number(after.status?.nextOffset) > acknowledged);
    assert.equal(await again.stop(), 0, again.errors);
  } finally {
    execFileSync("umount", ["-l", mount]);
    removeFolder(mount);
  }
});

test("version tells what a bug report needs", async () => {
  const { code, stdout } = await runCommand(["version", "-o", "json"]);
  assert.equal(code, 0);
  const said = JSON.parse(stdout.toString()) as Record<string, unknown>;
  for (const key of ["version", "revision", "runtime", "formatVersion"]) {
    assert.ok(said[key] !== undefined && said[key] !== "", `no ${key} in ${stdout.toString()}`);
  }
});

test("metrics are there, though nothing of them is loaded before", async () => {
  const server = await ServerProcess.start(join(dir, "metrics"));
  const { version } = JSON.parse((await runCommand(["version", "-o", "json"])).stdout.toString());
  for (let count = 0; count < 2; count += 1) {
    const page = await (await fetch(`http://${server.address}/metrics`)).text();
    assert.ok(page.includes(`proglog_build_info{version="${version}",`), page);
    assert.match(page, /^proglog_cluster_members\{state="active"\} 1$/m);
    assert.match(page, /^proglog_cluster_topics_led 1$/m);
  }
  assert.equal(await server.stop(), 0, server.errors);
});

test("curl gets JSON answers as the README shows", async () => {
  const server = await ServerProcess.start(join(dir, "curl"));
  try {
    const call = async (method: string, body: unknown): Promise<unknown> => {
      const url = `http://${server.address}/${method}`;
      const { stdout } = await runCommand(
        ["-sS", "-H", "content-type: application/json", "-d", JSON.stringify(body), url],
        { command: "curl" },
      );
      return JSON.parse(stdout.toString());
    };
    const seed = { record: Buffer.from("hello").toString("base64") };
    assert.deepEqual(await call("log.v1.Log/Produce", seed), { offset: "0" });
    assert.deepEqual(await call("log.v1.Log/Consume", { offset: 0 }), {
      record: "aGVsbG8=",
      offset: "0",
    });
    const missing = (await call("log.v1.Log/Consume", { offset: 1 })) as { readonly code: string };
    assert.equal(missing.code, "not_found");
    const live = await runCommand(["-sS", `http://${server.address}/livez`], { command: "curl" });
    assert.match(live.stdout.toString(), /ok/i);
  } finally {
    assert.equal(await server.stop(), 0, server.errors);
  }
});

test("grpcurl needs no proto files: reflection, unary, error details, streams", async (context) => {
  const grpcurl = installGrpcurl();
  if (grpcurl === undefined) {
    context.skip("needs Go and its module proxy");
    return;
  }
  const server = await ServerProcess.start(join(dir, "grpcurl"));
  try {
    const call = (...args: string[]): ReturnType<typeof runCommand> =>
      runCommand(["-plaintext", ...args], { command: grpcurl });
    const list = await call(server.address, "list");
    for (const name of ["proglog.v1.LogService", "proglog.v1.TopicService", "log.v1.Log"]) {
      assert.ok(list.stdout.toString().includes(name), `no ${name} in ${list.stdout.toString()}`);
    }
    const described = await call(server.address, "describe", "proglog.v1.ProduceRequest");
    assert.match(described.stdout.toString(), /expected_next_offset/);
    const produced = await call(
      "-d",
      '{"topic":"default","records":[{"value":"aGVsbG8="},{"value":"d29ybGQ="}]}',
      server.address,
      "proglog.v1.LogService/Produce",
    );
    assert.equal(produced.code, 0, produced.stderr);
    assert.match(produced.stdout.toString(), /"lastOffset": "1"/);
    const refused = await call(
      "-d",
      '{"topic":"nowhere","records":[{}]}',
      server.address,
      "proglog.v1.LogService/Produce",
    );
    assert.match(refused.stderr, /NotFound/);
    assert.match(refused.stderr, /TOPIC_NOT_FOUND/);
    const stream = await call(
      "-d",
      '{"topic":"default","endOffset":2}',
      server.address,
      "proglog.v1.LogService/ConsumeStream",
    );
    assert.match(stream.stdout.toString(), /d29ybGQ=/);
    const health = await call(server.address, "grpc.health.v1.Health/Check");
    assert.match(health.stdout.toString(), /SERVING/);
  } finally {
    assert.equal(await server.stop(), 0, server.errors);
  }
});

/** Built once, into `dist/tools`. */
function installGrpcurl(): string | undefined {
  const bin = resolve("dist/tools");
  const path = join(bin, "grpcurl");
  if (existsSync(path)) return path;
  mkdirSync(bin, { recursive: true });
  try {
    execFileSync("go", ["install", "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3"], {
      stdio: "ignore",
      env: { ...process.env, GOBIN: bin, GOFLAGS: "" },
    });
    return path;
  } catch {
    return undefined;
  }
}
