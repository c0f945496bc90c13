/**
 * Has a page in Chromium call a server, in one of the ways of ways.ts:
 * `program.ts <way> <allowed page> <other page> <host:port>`.
 */
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import type { BrowserContext, Page } from "playwright-core";
import { LogService } from "../../../src/gen/proglog/v1/log_service_pb.ts";
import { type Check, expect, expectEqual, runChecks } from "../typescript/check.ts";
import { restart, tell } from "../typescript/runner.ts";
import { withChromium } from "./chromium.ts";
import { watchNetwork } from "./network-watch.ts";
import type { PageGlobal, Target } from "./page-api.ts";
import { TRANSPORTS, WAYS } from "./ways.ts";

const [name = "", allowedPage = "", otherPage = "", address = ""] = process.argv.slice(2);
const way = WAYS[name];
if (way === undefined) throw new Error(`No way "${name}"; there are ${Object.keys(WAYS)}`);
const { transport, isHttp2, without = [] } = way;
const baseUrl = `${isHttp2 ? "https" : "http"}://${address}`;

async function open(browser: BrowserContext, url: string): Promise<Page> {
  const page = await browser.newPage();
  page.on("pageerror", (error) => process.stderr.write(`${error.stack}\n`));
  await page.exposeFunction("tell", tell);
  await page.exposeFunction("restart", restart);
  await page.goto(url);
  return page;
}

/** The number of records of the topic `default`, asked outside of the browser. */
async function countRecords(): Promise<number> {
  const nodeTransport = createConnectTransport({
    baseUrl,
    httpVersion: "1.1",
    nodeOptions: { rejectUnauthorized: false },
  });
  const answer = await createClient(LogService, nodeTransport).consume({ topic: "default" });
  return Number(answer.highWatermark);
}

/** Has a page try everything. @returns what it got through, and how many records it wrote */
async function intrude(page: Page): Promise<{ gotThrough: readonly string[]; written: number }> {
  const before = await countRecords();
  const gotThrough = await page.evaluate(
    (url) => (globalThis as unknown as PageGlobal).intrude(url),
    baseUrl,
  );
  return { gotThrough, written: (await countRecords()) - before };
}

const transportCount = Object.keys(TRANSPORTS).length;

const isGood = await withChromium(async (browser) => {
  const page = await open(browser, allowedPage);
  const network = await watchNetwork(browser, page, baseUrl);
  const target: Target = { baseUrl, transport, isHttp2, without, prefix: `browser-${name}` };
  const isPageGood = await page.evaluate(
    (given) => (globalThis as unknown as PageGlobal).runChecks(given),
    target,
  );
  const checks: Readonly<Record<string, Check<undefined>>> = {
    "http-version": async () => {
      expectEqual([...network.protocols], [isHttp2 ? "h2" : "http/1.1"], "the versions spoken");
    },
    preflight: async () => {
      expect(network.preflights.length > 0, "the browser asked for nothing before calling");
      expectEqual([...new Set(network.preflights)], [204], "the answers to preflights");
    },
    // Shows that the next check would see a page that gets through.
    "allowed-origin": async () => {
      const { gotThrough, written } = await intrude(page);
      expectEqual(gotThrough.length, 2 * transportCount, "the number of calls that got through");
      expectEqual(written, transportCount, "the number of records written");
    },
    "other-origin": async () => {
      const { gotThrough, written } = await intrude(await open(browser, otherPage));
      expectEqual(gotThrough, [], "what got through");
      expectEqual(written, 0, "the number of records written");
    },
  };
  const isProgramGood = await runChecks(checks, undefined, tell);
  return isPageGood && isProgramGood;
});
process.exit(isGood ? 0 : 1);
