import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { type Certificates, makeCertificates } from "../../rpc/certificates.ts";
import { makeFolder, RealServer, removeFolder } from "../support/real-server.ts";
import { killLeftovers, runCli } from "../support/run-cli.ts";

// Goal: TLS from flags and files to the command line. Method: certificates of a CA made for the test.
let dir = "";
let made: Certificates;
before(() => {
  dir = makeFolder();
  made = makeCertificates();
  put("ca.pem", made.ca);
  put("server.pem", made.server.cert);
  put("server.key", made.server.key);
  put("client.pem", made.client.cert);
  put("client.key", made.client.key);
  put("stranger.pem", made.stranger.cert);
  put("stranger.key", made.stranger.key);
});
after(() => {
  killLeftovers();
  removeFolder(dir);
});

function path(name: string): string {
  return join(dir, name);
}

function put(name: string, pem: string): void {
  writeFileSync(path(name), pem);
}

const SERVER_FLAGS = () => ["--tls-cert", path("server.pem"), "--tls-key", path("server.key")];

test("over TLS the server is known by its CA only, and refuses plaintext", async () => {
  const server = await RealServer.start(path("tls"), SERVER_FLAGS());
  const trusting = ["--tls-ca", path("ca.pem")];
  const fine = await server.run(["produce", "default", ...trusting], "a\n");
  assert.equal(fine.code, 0, fine.stderr);
  const read = await server.run(["consume", "default", ...trusting]);
  assert.equal(read.stdout.toString(), "a\n");
  const unknown = await server.run(["consume", "default", "--server", `https://${server.address}`]);
  assert.equal(unknown.code, 6, unknown.stderr);
  assert.match(unknown.stderr, /certificate is not trusted, name its CA: --tls-ca/);
  const plain = await server.run(["consume", "default"]);
  assert.equal(plain.code, 5, plain.stderr);
  assert.match(plain.stderr, /connection lost; .*over TLS.*https:\/\//);
  assert.equal((await server.stop()).code, 0);
});

test("with a client CA only its clients get in, and they may listen everywhere", async () => {
  const flags = [...SERVER_FLAGS(), "--tls-client-ca", path("ca.pem")];
  const server = await RealServer.start(path("mutual"), flags);
  const trusting = ["--tls-ca", path("ca.pem")];
  const as = (name: string) => [
    "--client-cert",
    path(`${name}.pem`),
    "--client-key",
    path(`${name}.key`),
  ];
  const client = await server.run(["produce", "default", ...trusting, ...as("client")], "a\n");
  assert.equal(client.code, 0, client.stderr);
  for (const args of [
    ["consume", "default"],
    ["topic", "list"],
    ["produce", "default"],
  ]) {
    const nobody = await server.run([...args, ...trusting], "a\n");
    assert.equal(nobody.code, 6, nobody.stderr);
    assert.match(nobody.stderr, /the server wants a client certificate, name one: --client-cert/);
    assert.doesNotMatch(nobody.stderr, /SSL/);
  }
  const stranger = await server.run(["consume", "default", ...trusting, ...as("stranger")]);
  assert.notEqual(stranger.code, 0);
  assert.match(stranger.stderr, /--client-cert/);
  assert.equal((await server.stop()).code, 0);
  const everywhere = ["serve", "--check-config", "--listen", "0.0.0.0:0", ...flags];
  assert.equal((await runCli(everywhere)).code, 0);
});

test("SIGHUP reads certificates and log level again, and keeps the old ones when they are bad", async () => {
  const config = path("reload.toml");
  writeFileSync(config, 'log-level = "info"\nlog-format = "json"\n');
  const server = await RealServer.start(path("reload"), [...SERVER_FLAGS(), "--config", config]);
  const call = () => server.run(["topic", "get", "default", "--tls-ca", path("ca.pem")]);
  assert.equal((await call()).code, 0);
  const said = () => server.process.stderr;
  put("server.pem", "no certificate");
  server.process.child.kill("SIGHUP");
  await server.process.until(() => said().includes("the one before stays"));
  assert.equal((await call()).code, 0);
  // From another CA: whoever trusts the old one no longer trusts the server.
  put("server.pem", made.stranger.cert);
  put("server.key", made.stranger.key);
  server.process.child.kill("SIGHUP");
  await server.process.until(() => said().includes("Read the TLS files and the log level again"));
  assert.notEqual((await call()).code, 0);
  put("server.pem", made.server.cert);
  put("server.key", made.server.key);
  writeFileSync(config, 'log-level = "error"\nlog-format = "json"\n');
  server.process.child.kill("SIGHUP");
  for (let tries = 0; (await call()).code !== 0; tries += 1) assert.ok(tries < 20);
  const { code, stderr } = await server.stop();
  assert.equal(code, 0);
  assert.doesNotMatch(stderr, /is stopping/, "the level was raised");
});
