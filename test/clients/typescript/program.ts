/** Calls a server in one of the ways of transports.ts: `program.ts <way> <host:port>`. */
import { runChecks, subjectOf } from "./check.ts";
import { READ_CHECKS } from "./read-checks.ts";
import { RECONNECT_CHECKS } from "./reconnect-check.ts";
import { restart, tell } from "./runner.ts";
import { WAYS } from "./transports.ts";
import { STREAM_CHECKS, WRITE_CHECKS } from "./write-checks.ts";

const [name = "", address = ""] = process.argv.slice(2);
const way = WAYS[name];
if (way === undefined) throw new Error(`No way "${name}"; there are ${Object.keys(WAYS)}`);

const checks = {
  ...WRITE_CHECKS,
  ...READ_CHECKS,
  ...(way.canStreamBothWays ? STREAM_CHECKS : {}),
  ...RECONNECT_CHECKS,
};
const subject = subjectOf(way.open(`http://${address}`), `ts-${name}`, restart);
const isGood = await runChecks(checks, subject, tell);
// Connections that libraries keep open would keep the process.
process.exit(isGood ? 0 : 1);
