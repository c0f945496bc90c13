import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { LogService } from "../../src/gen/proglog/v1/log_service_pb.ts";
import { clientsOf, collect, failsWith, text, WAYS } from "../rpc/api.ts";
import { makeCertificates } from "../rpc/certificates.ts";
import { RawConnection, request } from "../rpc/ports.ts";

// Goal: the server answers on Deno as it does on Bun and Node. Method: the same
// calls against a server that Deno runs; the clients run where the test does.

const isMissing = spawnSync("deno", ["--version"]).status !== 0;
const skip = isMissing ? "deno is not installed" : false;
const SERVER = fileURLToPath(new URL("deno-server.ts", import.meta.url));
const TOPIC = { topic: "default" };

/** Starts a server. @returns its port */
async function startDeno(t: TestContext, ...args: string[]): Promise<number> {
  const child: ChildProcess = spawn("deno", ["run", "-A", SERVER, ...args], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  t.after(() => child.kill());
  return new Promise((resolve, reject) => {
    child.stdout?.once("data", (line: Buffer) => resolve(Number(line.toString())));
    child.once("exit", (code) => reject(new Error(`deno ended with ${code}`)));
  });
}

test("Deno serves every protocol", { skip }, async (t) => {
  const port = await startDeno(t);
  assert.equal((await request(port, "/livez")).body, "ok\n");
  for (const way of WAYS) {
    await t.test(way.name, async () => {
      const { log } = clientsOf(port, way);
      const records = [{ value: text("a") }, { value: new Uint8Array(100_000) }];
      const { firstOffset, lastOffset } = await log.produce({ ...TOPIC, records });
      const start = { case: "offset", value: firstOffset } as const;
      const [first] = (await log.consume({ ...TOPIC, start })).records;
      assert.equal(new TextDecoder().decode(first?.record?.value), "a");
      const endOffset = lastOffset + 1n;
      const stream = await collect(log.consumeStream({ ...TOPIC, start, endOffset }));
      assert.equal(stream.flatMap((message) => message.records).length, 2);
      await failsWith(log.consume({ topic: "nope" }), "TOPIC_NOT_FOUND");
    });
  }
});

test("Deno serves batches in both directions, and large ones", { skip }, async (t) => {
  const port = await startDeno(t);
  const { log } = clientsOf(port);
  async function* requests() {
    for (let count = 0; count < 50; count += 1) {
      yield { batches: [{ ...TOPIC, records: [{ value: new Uint8Array(100_000) }] }] };
    }
  }
  const answers = await collect(log.produceStream(requests()));
  assert.equal(answers.flatMap(({ acknowledgements }) => acknowledgements).length, 50);
  const records = Array.from({ length: 8 }, () => ({ value: new Uint8Array(1_000_000) }));
  for (const way of WAYS) {
    if (way.isBinary) await clientsOf(port, way).log.produce({ ...TOPIC, records });
  }
});

test("Deno finds the protocol byte by byte, and serves TLS", { skip }, async (t) => {
  const plain = await startDeno(t);
  const connection = await RawConnection.open(t, plain);
  await connection.writeSlowly("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n");
  await connection.receives("ok\n");
  const dir = mkdtempSync(join(tmpdir(), "proglog-deno-"));
  t.after(() => rmSync(dir, { recursive: true }));
  const { ca, server } = makeCertificates();
  writeFileSync(join(dir, "key"), server.key);
  writeFileSync(join(dir, "cert"), server.cert);
  const port = await startDeno(t, join(dir, "key"), join(dir, "cert"));
  for (const httpVersion of ["1.1", "2"] as const) {
    const transport = createConnectTransport({
      baseUrl: `https://127.0.0.1:${port}`,
      httpVersion,
      nodeOptions: { ca },
    });
    const log = createClient(LogService, transport);
    assert.equal((await log.consume(TOPIC)).records.length, 0);
  }
});
