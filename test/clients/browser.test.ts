import assert from "node:assert/strict";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { after, test } from "node:test";
import { makeFolder, removeFolder, ServerProcess } from "../e2e/server-process.ts";
import { makeCertificates } from "../rpc/certificates.ts";
import { CHROMIUM, withChromium } from "./browser/chromium.ts";
import { servePages } from "./browser/page-server.ts";
import { WAYS } from "./browser/ways.ts";
import { CHECKS } from "./support/client-program.ts";
import { installChromium } from "./support/install-chromium.ts";
import { runBuildStep, testClient } from "./support/test-client.ts";

// Goal: a page calls a server of another origin, without a proxy, from a real
// browser: connect-web, and the official client of gRPC-Web, in Chromium against the
// executable.

const DIR = "dist/clients/browser";
const PAGE = "test/clients/browser/page";

installChromium(CHROMIUM);
const tools = existsSync(CHROMIUM) ? [] : [CHROMIUM];
if (tools.length > 0) {
  console.log(
    `No ${CHROMIUM}: install it, as root with PROGLOG_INSTALL_CHROMIUM=1, or set CHROMIUM`,
  );
}

const pages = await servePages({
  "/": `${PAGE}.html`,
  "/page.js": `${DIR}/page.js`,
  "/example": "examples/browser/index.html",
});
after(() => pages.close());

mkdirSync(DIR, { recursive: true });
const { server } = makeCertificates();
writeFileSync(`${DIR}/server.crt`, server.cert);
writeFileSync(`${DIR}/server.key`, server.key);
const tlsFlags = ["--tls-cert", `${DIR}/server.crt`, "--tls-key", `${DIR}/server.key`];

let bundled: Promise<void> | undefined;

/** Makes the page's script, once. */
function bundle(): Promise<void> {
  const outfile = `--outfile=${DIR}/page.js`;
  bundled ??= runBuildStep([
    "node_modules/.bin/bun",
    "build",
    "--target=browser",
    outfile,
    `${PAGE}.ts`,
  ]);
  return bundled;
}

for (const [name, { isHttp2, without = [] }] of Object.entries(WAYS)) {
  testClient(`Chromium: ${name}`, {
    tools,
    build: async () => {
      await bundle();
      const program = "test/clients/browser/program.ts";
      return [process.execPath, program, name, pages.localhost, pages.loopback];
    },
    serverFlags: ["--cors-origins", pages.localhost, ...(isHttp2 ? tlsFlags : [])],
    checks: [
      ...CHECKS.filter((check) => check !== "produce-stream"),
      "parallel-tails",
      "http-version",
      "preflight",
      "allowed-origin",
      "other-origin",
    ].filter((check) => !without.includes(check)),
    timeoutMs: 120_000,
  });
}

test("the example page produces, tails, and goes on when the server was killed", {
  skip: tools.length > 0 && `needs ${CHROMIUM}, not on this machine`,
}, async (t) => {
  const dir = makeFolder("browser-example");
  const flags = ["--cors-origins", pages.localhost];
  let running = await ServerProcess.start(dir, { flags });
  t.after(async () => {
    await running.kill();
    removeFolder(dir);
  });
  await withChromium(async (browser) => {
    const page = await browser.newPage();
    await page.goto(`${pages.localhost}/example`);
    await page.getByLabel("Server").fill(`http://${running.address}`);
    await page.getByRole("button", { name: "Tail" }).click();
    const produce = async (value: string): Promise<void> => {
      await page.getByLabel("Record").fill(value);
      await page.getByRole("button", { name: "Produce" }).click();
      await page.getByRole("listitem").filter({ hasText: value }).waitFor();
    };
    await produce("zürich 一");
    await produce("<b>text, not HTML</b>");
    await running.kill();
    await page.getByRole("status").filter({ hasText: "Trying again" }).waitFor();
    running = await ServerProcess.start(dir, { flags: [...flags, "--listen", running.address] });
    await page.getByRole("status").filter({ hasText: "at offset 2" }).waitFor();
    await produce("after the restart");
    const seen = await page.getByRole("listitem").allTextContents();
    assert.deepEqual(seen, ["after the restart", "<b>text, not HTML</b>", "zürich 一"]);
    await page.getByLabel("Topic").fill("not-there");
    await page.getByRole("button", { name: "Produce" }).click();
    await page.getByRole("status").filter({ hasText: 'Cannot use topic "not-there"' }).waitFor();
  });
});
