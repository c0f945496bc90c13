import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { after } from "node:test";
import { makeCertificates } from "../rpc/certificates.ts";
import { CHROMIUM } from "./browser/chromium.ts";
import { servePages } from "./browser/page-server.ts";
import { WAYS } from "./browser/ways.ts";
import { CHECKS } from "./support/client-program.ts";
import { installChromium } from "./support/install-chromium.ts";
import { runBuildStep, testClient } from "./support/test-client.ts";

// Goal: a page calls a server of another origin, without a proxy, from a real
// browser: connect-web in Chromium against the executable.

const DIR = "dist/clients/browser";
const PAGE = "test/clients/browser/page";

installChromium(CHROMIUM);
const tools = existsSync(CHROMIUM) ? [] : [CHROMIUM];

const pages = await servePages({ "/": `${PAGE}.html`, "/page.js": `${DIR}/page.js` });
after(() => pages.close());

mkdirSync(DIR, { recursive: true });
const { server } = makeCertificates();
writeFileSync(`${DIR}/server.crt`, server.cert);
writeFileSync(`${DIR}/server.key`, server.key);
const tlsFlags = ["--tls-cert", `${DIR}/server.crt`, "--tls-key", `${DIR}/server.key`];

async function bundle(): Promise<void> {
  const bun = "node_modules/.bin/bun";
  const outfile = `--outfile=${DIR}/page.js`;
  await runBuildStep([bun, "build", "--target=browser", outfile, `${PAGE}.ts`]);
}

for (const [name, { isHttp2 }] of Object.entries(WAYS)) {
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
    ],
    timeoutMs: 120_000,
  });
}
