import { createClient } from "@connectrpc/connect";
import { LogService } from "../../../src/gen/proglog/v1/log_service_pb.ts";
import { type Check, runChecks, subjectOf, text } from "../typescript/check.ts";
import { READ_CHECKS } from "../typescript/read-checks.ts";
import { RECONNECT_CHECKS } from "../typescript/reconnect-check.ts";
import { WRITE_CHECKS } from "../typescript/write-checks.ts";
import type { PageApi, PageGlobal } from "./page-api.ts";
import { parallelTails } from "./parallel-check.ts";
import { TRANSPORTS } from "./ways.ts";

// Bundled for the browser and loaded by a page of another origin than the server's.

const LOG_SERVICE = "proglog.v1.LogService";

const program = globalThis as unknown as PageGlobal;

const api: PageApi = {
  runChecks({ baseUrl, transport, prefix, isHttp2, without }) {
    const checks: Record<string, Check> = {
      ...WRITE_CHECKS,
      ...READ_CHECKS,
      "parallel-tails": parallelTails(isHttp2),
      ...RECONNECT_CHECKS,
    };
    for (const name of without) delete checks[name];
    const subject = subjectOf(TRANSPORTS[transport](baseUrl), prefix, () => program.restart());
    return runChecks(checks, subject, (line) => void program.tell(line));
  },

  async intrude(baseUrl) {
    const gotThrough: string[] = [];
    const attempt = async (what: string, call: Promise<unknown>): Promise<void> => {
      const isThrough = await call.then(
        () => true,
        () => false,
      );
      if (isThrough) gotThrough.push(what);
    };
    const record = { value: text("from elsewhere") };
    for (const [name, open] of Object.entries(TRANSPORTS)) {
      const client = createClient(LogService, open(baseUrl));
      await attempt(`${name} Produce`, client.produce({ topic: "default", records: [record] }));
      await attempt(`${name} Consume`, client.consume({ topic: "default" }));
    }
    // Requests that browsers send without asking the server first. Their answers cannot
    // be read, so only the topic shows whether they did something.
    const url = `${baseUrl}/${LOG_SERVICE}/Produce`;
    const body = JSON.stringify({ topic: "default", records: [{ value: "QUJD" }] });
    for (const type of ["text/plain", "application/x-www-form-urlencoded", ""]) {
      const simple = new Blob([body], { type });
      await fetch(url, { method: "POST", mode: "no-cors", body: simple }).catch(() => {});
    }
    const query = `connect=v1&encoding=json&message=${encodeURIComponent(body)}`;
    await fetch(`${url}?${query}`, { mode: "no-cors" }).catch(() => {});
    return gotThrough;
  },
};

Object.assign(globalThis, api);
