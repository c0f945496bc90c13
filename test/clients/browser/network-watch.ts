import type { BrowserContext, Page } from "playwright-core";

/** What a page's requests were answered with, as the browser's own tools see it. */
export interface NetworkWatch {
  /** HTTP versions of all answers of the server, such as `h2`. */
  readonly protocols: ReadonlySet<string>;
  /** Statuses of the answers to preflights. */
  readonly preflights: readonly number[];
}

/** Watches the requests of `page` to the server at `baseUrl` from now on. */
export async function watchNetwork(
  browser: BrowserContext,
  page: Page,
  baseUrl: string,
): Promise<NetworkWatch> {
  const protocols = new Set<string>();
  const preflights: number[] = [];
  const session = await browser.newCDPSession(page);
  session.on("Network.responseReceived", ({ response, type }) => {
    if (!response.url.startsWith(baseUrl)) return;
    protocols.add(response.protocol ?? "unknown");
    if (type === "Preflight") preflights.push(response.status);
  });
  await session.send("Network.enable");
  return { protocols, preflights };
}
