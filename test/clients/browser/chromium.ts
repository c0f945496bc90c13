import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { type BrowserContext, chromium } from "playwright-core";

/** The browser under test; set CHROMIUM to use another one. */
export const CHROMIUM = process.env["CHROMIUM"] ?? "/usr/bin/chromium";

const PROFILES = "dist/clients/browser";

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  // HTTP/3 would be asked of every server.
  "--disable-quic",
  // Nothing but the tests' own requests.
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  // The certificates are made by the tests.
  "--ignore-certificate-errors",
];

/** Runs `use` with a browser that knows nothing of any run before. */
export async function withChromium<T>(use: (browser: BrowserContext) => Promise<T>): Promise<T> {
  mkdirSync(PROFILES, { recursive: true });
  const profile = mkdtempSync(join(resolve(PROFILES), "profile-"));
  try {
    const browser = await chromium.launchPersistentContext(profile, {
      executablePath: CHROMIUM,
      headless: true,
      args: FLAGS,
    });
    try {
      return await use(browser);
    } finally {
      await browser.close();
    }
  } finally {
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}
