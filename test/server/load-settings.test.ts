import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import {
  isLoopback,
  loadSettings,
  parseConfig,
  resolveSettings,
  SettingError,
} from "../../src/server/load-settings.ts";
import { envNameOf, SETTING_NAMES, settingOf } from "../../src/server/settings.ts";

function failure(run: () => unknown): string {
  try {
    run();
  } catch (thrown) {
    assert.ok(thrown instanceof SettingError, String(thrown));
    return thrown.message;
  }
  assert.fail("nothing was thrown");
}

const NONE = { flags: {}, env: {} };

test("a misspelt key of the file is an error that suggests the right one", () => {
  const file = { path: "p.toml", values: { "data-dirr": "x" } };
  const message = failure(() => resolveSettings({ ...NONE, file }));
  assert.equal(
    message,
    'Cannot read p.toml: "data-dirr" is not a setting. Did you mean "data-dir"?',
  );
});

test("a value that does not fit says where it came from and what to write", () => {
  const flag = (name: string, value: string) =>
    failure(() => resolveSettings({ ...NONE, flags: { [name]: value } }));
  assert.equal(
    flag("request-bytes-max", "64MB"),
    'Cannot read --request-bytes-max: "64MB" is not a size, write 1048576, 64MiB or 1GiB',
  );
  assert.equal(
    flag("request-bytes-max", "1"),
    'Cannot read --request-bytes-max: "1" is out of range, write 64KiB to 1GiB',
  );
  assert.equal(
    flag("drain-timeout", "1.5s"),
    'Cannot read --drain-timeout: "1.5s" is not a duration, write 500ms, 30s, 5m, 1h or 7d',
  );
  assert.equal(
    flag("sync", "sometimes"),
    'Cannot read --sync: "sometimes" is not known, write always or none',
  );
  assert.equal(
    flag("listen", "8400"),
    'Cannot read --listen: "8400" is not an address, write 127.0.0.1:8400, localhost:0 or [::1]:8400',
  );
  assert.match(
    failure(() => resolveSettings({ flags: {}, env: { PROGLOG_SYNC: "x" } })),
    /^Cannot read PROGLOG_SYNC: /,
  );
  const file = { path: "p.toml", values: { sync: "x" } };
  assert.match(
    failure(() => resolveSettings({ ...NONE, file })),
    /^Cannot read "sync" in p.toml: /,
  );
});

test("TLS files that only make sense together are asked for together", () => {
  const flags = (given: Record<string, string>) =>
    failure(() => resolveSettings({ flags: given, env: {} }));
  assert.match(flags({ "tls-cert": "c" }), /set --tls-key too$/);
  assert.match(flags({ "tls-key": "c" }), /set --tls-cert too$/);
  assert.match(flags({ "tls-client-ca": "c" }), /set --tls-cert and --tls-key too$/);
});

test("an address that other machines reach needs client certificates or a word from the operator", () => {
  const listen = (address: string, more: Record<string, string> = {}) =>
    resolveSettings({ flags: { listen: address, ...more }, env: {} });
  const tls = { "tls-cert": "c", "tls-key": "k" };
  assert.match(
    failure(() => listen("0.0.0.0:1")),
    /--allow-insecure-public$/,
  );
  assert.match(
    failure(() => listen("[::]:1")),
    /--allow-insecure-public$/,
  );
  assert.match(
    failure(() => listen("0.0.0.0:1", tls)),
    /--allow-insecure-public$/,
  );
  listen("0.0.0.0:1", { ...tls, "tls-client-ca": "a" });
  listen("0.0.0.0:1", { "allow-insecure-public": "on" });
  listen("127.8.9.1:1");
});

test("seeds are addresses with ports, or names of SRV records, each once", () => {
  const join = (value: string) => resolveSettings({ flags: { join: value }, env: {} });
  assert.deepEqual(join("10.0.0.7:8400, a.example.com:1,[fd00::7]:8400,").settings.join, [
    { kind: "address", host: "10.0.0.7", port: 8400 },
    { kind: "address", host: "a.example.com", port: 1 },
    { kind: "address", host: "fd00::7", port: 8400 },
  ]);
  assert.deepEqual(join("srv:_proglog._tcp.example.com").settings.join, [
    { kind: "srv", name: "_proglog._tcp.example.com" },
  ]);
  for (const [bad, message] of [
    ["a.example.com", /"a.example.com" is not an address, write/],
    ["a:0", /"a:0" has no port, write HOST:8400$/],
    ["a:1,A:1", /"a:1" is named twice, write it once$/],
    ["srv:", /"srv:" is not an SRV name, write srv:_proglog._tcp.example.com$/],
    ["srv:example", /is not an SRV name/],
    ["srv:a.example.com", /is not an SRV name/],
    ["srv:_a._b..c", /is not an SRV name/],
    ["srv:_a._b.".padEnd(300, "b.c"), /is not an SRV name/],
    [
      Array.from({ length: 65 }, (_, port) => `a:${port + 1}`).join(),
      /65 servers are named, write 64 at most$/,
    ],
  ] as const) {
    assert.match(
      failure(() => join(bad)),
      message,
      bad,
    );
  }
});

test("an address to advertise is one that others can call", () => {
  const advertise = (value: string) => resolveSettings({ flags: { advertise: value }, env: {} });
  assert.equal(advertise("").settings.advertise, undefined);
  assert.deepEqual(advertise("a:1").settings.advertise, { host: "a", port: 1 });
  for (const bad of ["0.0.0.0:1", "[::]:1", "[0:0::0]:1", "[0:0:0:0:0:0:0:0]:1", "0:1", "a:0"]) {
    assert.match(
      failure(() => advertise(bad)),
      /leads nowhere, write an address that others can reach: 10\.0\.0\.7:8400$/,
      bad,
    );
  }
  advertise("[::1]:1");
  advertise("[fd00::]:1");
});

test("a server that joins from an address of all interfaces must say where it can be called", () => {
  const serve = (flags: Record<string, string>) =>
    resolveSettings({ flags: { "allow-insecure-public": "on", ...flags }, env: {} });
  const message =
    "Cannot use --join while listening on 0.0.0.0:8400: others cannot call that address, set --advertise HOST:PORT";
  assert.equal(
    failure(() => serve({ listen: "0.0.0.0:8400", join: "a:1" })),
    message,
  );
  assert.equal(
    failure(() => serve({ listen: "0.0.0.0:8400", join: "a:1", "bootstrap-expect": "1" })),
    message,
  );
  serve({ listen: "0.0.0.0:8400", join: "a:1", advertise: "b:1" });
  serve({ listen: "0.0.0.0:8400" });
  serve({ listen: "10.0.0.7:8400", join: "a:1" });
});

test("servers that found a cluster together name each other", () => {
  const serve = (expected: string, join?: string) =>
    resolveSettings({
      flags: { "bootstrap-expect": expected, ...(join !== undefined && { join }) },
      env: {},
    });
  for (const bad of ["2", "4", "9", "-1", "many"]) {
    assert.equal(
      failure(() => serve(bad, "a:1")),
      `Cannot read --bootstrap-expect: "${bad}" is no number of voters, write 1, 3, 5 or 7`,
    );
  }
  assert.equal(
    failure(() => serve("3")),
    "Cannot use --bootstrap-expect 3 with 0 servers in --join: name all 3, this one too",
  );
  assert.equal(
    failure(() => serve("3", "a:1,b:1,c:1,d:1")),
    "Cannot use --bootstrap-expect 3 with 4 servers in --join: name all 3, this one too",
  );
  assert.equal(
    failure(() => serve("3", "srv:_p._tcp.example.com")),
    "Cannot use --bootstrap-expect 3 with SRV records: name every server in --join",
  );
  assert.equal(serve("3", "a:1,b:1,c:1").settings["bootstrap-expect"], 3);
  assert.equal(serve("1", "a:1").settings["bootstrap-expect"], 1);
  assert.equal(serve("0").settings["bootstrap-expect"], 0);
});

test("a zone is a short name", () => {
  const zone = (value: string) => resolveSettings({ flags: { zone: value }, env: {} });
  assert.equal(zone("eu-west-1a").settings.zone, "eu-west-1a");
  for (const bad of ["a b", "-a", "ä", "a".repeat(65)]) {
    assert.match(
      failure(() => zone(bad)),
      /is not a name, write up to 64 of A-Z a-z 0-9 \. _ -$/,
    );
  }
});

test("isLoopback() is true only for this machine", () => {
  for (const host of ["127.0.0.1", "127.255.0.1", "::1", "0:0:0:0:0:0:0:1", "localhost"]) {
    assert.equal(isLoopback(host), true, host);
  }
  for (const host of ["0.0.0.0", "::", "128.0.0.1", "::2", "127.example.com", "fe80::1", "1::1"]) {
    assert.equal(isLoopback(host), false, host);
  }
});

test("an origin that is none is refused, and the message says how to write one", () => {
  const origins = (value: string) => resolveSettings({ flags: { "cors-origins": value }, env: {} });
  for (const bad of [
    "example.com",
    "localhost:5173",
    "//example.com",
    "https://",
    "https://example.com/",
    "https://example.com/app",
    "https://example.com?page",
    "https://example.com#top",
    "https://me@example.com",
    "https://*.example.com",
    "https://example.com:",
    "https://example.com:99999",
    "https://exa mple.com",
    "https://[::1",
    "ftp://example.com",
    "null",
    "**",
  ]) {
    assert.equal(
      failure(() => origins(`https://good.example.com, ${bad}`)),
      `Cannot read --cors-origins: "${bad}" is not an origin, write https://example.com, http://localhost:5173 or *`,
    );
  }
  const env = { PROGLOG_CORS_ORIGINS: "example.com" };
  const file = { path: "p.toml", values: { "cors-origins": "example.com" } };
  assert.match(
    failure(() => resolveSettings({ flags: {}, env })),
    /^Cannot read PROGLOG_CORS_ORIGINS: "example.com" is not an origin/,
  );
  assert.match(
    failure(() => resolveSettings({ ...NONE, file })),
    /^Cannot read "cors-origins" in p.toml: "example.com" is not an origin/,
  );
});

test("origins are all, or schemes with hosts and ports", () => {
  for (const good of [
    "*",
    "https://example.com",
    "HTTPS://Example.com:8443",
    "http://localhost:5173",
    "http://127.0.0.1:80",
    "http://[::1]:8000",
    "https://zürich.example",
  ]) {
    const { settings } = resolveSettings({ flags: { "cors-origins": `${good},` }, env: {} });
    assert.deepEqual(settings["cors-origins"], [good]);
  }
});

test("a flag wins over the environment, that over the file, that over the default", () => {
  const file = { path: "p.toml", values: { "data-dir": "file", "log-level": "warn" } };
  const env = { PROGLOG_DATA_DIR: "env", PROGLOG_LOG_LEVEL: "" };
  const from = (sources: Parameters<typeof resolveSettings>[0]) => {
    const { settings, origins } = resolveSettings(sources);
    return [settings["data-dir"], origins["data-dir"]];
  };
  assert.deepEqual(from({ flags: { "data-dir": "flag" }, env, file }), ["flag", "flag"]);
  assert.deepEqual(from({ flags: {}, env, file }), ["env", "environment"]);
  assert.deepEqual(from({ flags: {}, env: {}, file }), ["file", "file"]);
  assert.deepEqual(from(NONE), ["./data", "default"]);
  const { settings } = resolveSettings({ flags: {}, env, file });
  assert.equal(settings["log-level"], "warn", "an empty variable counts as not set");
});

test("a misspelt variable is a warning, one of Kubernetes is nothing", () => {
  const env = {
    PROGLOG_LISTN: "x",
    PROGLOG_PORT: "tcp://10.0.0.1:8400",
    PROGLOG_PORT_8400_TCP_ADDR: "10.0.0.1",
    PROGLOG_SERVICE_HOST: "10.0.0.1",
    PROGLOG_HEADLESS_SERVICE_PORT_GRPC: "8400",
    PROGLOG_SERVER: "127.0.0.1:8400",
  };
  const { warnings } = resolveSettings({ flags: {}, env });
  assert.deepEqual(warnings, [
    'PROGLOG_LISTN is not a setting and is ignored. Did you mean "PROGLOG_LISTEN"?',
  ]);
});

test("the default of every setting is printed as text that parses to itself", () => {
  for (const name of SETTING_NAMES) {
    const { type, fallback } = settingOf(name);
    assert.deepEqual(type.parse(type.print(fallback)), fallback, name);
    assert.match(envNameOf(name), /^PROGLOG_[A-Z_]+$/);
  }
});

test("a file holds texts, numbers, switches and lists", () => {
  const values = parseConfig(
    "p.toml",
    'listen = "localhost:1"\ntopics-max = 7\nreflection = false\ncors-origins = ["https://a", "https://b"]\n',
  );
  const { settings } = resolveSettings({ ...NONE, file: { path: "p.toml", values } });
  assert.deepEqual(settings.listen, { host: "localhost", port: 1 });
  assert.equal(settings["topics-max"], 7);
  assert.equal(settings.reflection, false);
  assert.deepEqual(settings["cors-origins"], ["https://a", "https://b"]);
});

test("a file with a fault says where it is", () => {
  assert.match(
    failure(() => parseConfig("p.toml", "a = 1\nb = = 2\n")),
    /^Cannot read p.toml: .* at 2:/,
  );
  assert.match(
    failure(() => parseConfig("p.toml", "[listen]\nx = 1\n")),
    /^Cannot read "listen" in p/,
  );
});

test("a file that was named must exist", async () => {
  const dir = await mkdtemp(join(tmpdir(), "proglog-settings-"));
  try {
    const missing = join(dir, "none.toml");
    await assert.rejects(loadSettings({ config: missing }, {}), /none.toml: there is no such file/);
    const present = join(dir, "p.toml");
    await writeFile(present, 'data-dir = "elsewhere"\n');
    const loaded = await loadSettings({}, { PROGLOG_CONFIG: present });
    assert.equal(loaded.settings["data-dir"], "elsewhere");
    assert.equal(loaded.file, present);
  } finally {
    await rm(dir, { recursive: true });
  }
});

test("a data folder without a name is refused, from wherever it comes", () => {
  const asFlag = { flags: { "data-dir": "" }, env: {} };
  assert.throws(() => resolveSettings(asFlag), /Cannot read --data-dir: "" is not a path, write/);
  const file = { path: "p.toml", values: { "data-dir": "" } };
  assert.throws(() => resolveSettings({ flags: {}, env: {}, file }), /"" is not a path/);
  const env = { PROGLOG_DATA_DIR: "" };
  assert.equal(resolveSettings({ flags: {}, env }).settings["data-dir"], "./data");
});
