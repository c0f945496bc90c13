/**
 * Three servers of one cluster on this machine, for trying things out.
 *
 *   scripts/cluster [--port 8401] [--data data/cluster] [-- FLAGS OF proglog serve]
 *
 * Takes `dist/proglog` when it is there, else the sources. Ctrl-C stops all three; the next start
 * with the same folder and ports goes on with the same data.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";

const SIZE = 3;
const READY_MS_MAX = 30_000;
const POLL_MS = 50;
const PORT_MAX = 65_535 - SIZE + 1;

const ROOT = resolve(import.meta.dirname, "..");
const HELP = `Starts three servers of one cluster on this machine; Ctrl-C stops them.

  scripts/cluster [--port 8401] [--data data/cluster] [-- FLAGS OF proglog serve]

  --port BASE   Port of the first server; the others have the next two.
  --data DIR    Folder of their data and logs. A second start goes on with it.
`;

interface Server {
  readonly address: string;
  readonly logFile: string;
  readonly child: ChildProcess;
  readonly ended: Promise<void>;
}

function fail(why: string): never {
  process.stderr.write(`scripts/cluster: ${why}\n`);
  process.exit(2);
}

function readArguments() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        port: { type: "string", default: "8401" },
        data: { type: "string", default: join(ROOT, "data/cluster") },
        help: { type: "boolean", short: "h", default: false },
      },
    });
    const port = Number(values.port);
    if (values.help) {
      process.stdout.write(HELP);
      process.exit(0);
    }
    if (!Number.isInteger(port) || port < 1 || port > PORT_MAX) {
      fail(`cannot use "${values.port}" as the first port: write 1 to ${PORT_MAX}`);
    }
    return { port, dir: resolve(values.data), flags: positionals };
  } catch (error) {
    return fail(error instanceof Error ? error.message : `${error}`);
  }
}

/** How to run proglog, and how to write that. */
function program(): { readonly command: readonly string[]; readonly text: string } {
  const executable = join(ROOT, "dist/proglog");
  const shown = (path: string): string => relative("", path) || path;
  if (existsSync(executable)) return { command: [executable], text: shown(executable) };
  const main = join(ROOT, "src/main.ts");
  return { command: [process.execPath, main], text: `bun ${shown(main)}` };
}

function launch(place: number, addresses: readonly string[]): Server {
  const address = addresses[place] ?? "";
  const logFile = join(dir, `server-${place + 1}.log`);
  const args = [
    ...["serve", "--listen", address, "--data-dir", join(dir, `server-${place + 1}`)],
    ...["--join", addresses.join(","), "--bootstrap-expect", `${SIZE}`, ...flags],
  ];
  const [name = "", ...words] = command;
  const log = openSync(logFile, "w", 0o600);
  // A group of its own: Ctrl-C in the terminal reaches this script alone, which stops them once.
  const child = spawn(name, [...words, ...args], {
    stdio: ["ignore", "ignore", log],
    detached: true,
  });
  closeSync(log);
  const ended = new Promise<void>((done) => {
    child.once("error", () => done());
    child.once("exit", () => done());
  });
  return { address, logFile, child, ended };
}

async function whenReady({ address, logFile, child }: Server): Promise<void> {
  const giveUpAt = performance.now() + READY_MS_MAX;
  for (;;) {
    const said = readFileSync(logFile, "utf8");
    if (/^listening on \S+$/m.test(said)) return;
    if (hasEnded(child) || performance.now() > giveUpAt) {
      throw new Error(`the server at ${address} did not start: ${said.slice(-2_000)}`);
    }
    await pause(POLL_MS);
  }
}

/** Whether they are a cluster with a leader, all of them. */
async function whenServing(servers: readonly Server[]): Promise<void> {
  const giveUpAt = performance.now() + READY_MS_MAX;
  for (const { address } of servers) {
    while (!(await isServing(address))) {
      if (performance.now() > giveUpAt) throw new Error(`the server at ${address} takes no calls`);
      await pause(POLL_MS);
    }
  }
}

async function isServing(address: string): Promise<boolean> {
  try {
    return (await fetch(`http://${address}/readyz`)).ok;
  } catch {
    return false;
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

async function stopAll(servers: readonly Server[]): Promise<void> {
  for (const { child } of servers) if (!hasEnded(child)) child.kill("SIGTERM");
  await Promise.all(servers.map(({ ended }) => ended));
}

function say(servers: readonly Server[]): void {
  const lines = servers.map(
    ({ address, child, logFile }) =>
      `  ${address}   pid ${child.pid}   log ${relative("", logFile) || logFile}`,
  );
  const [first = "", second = ""] = servers.map(({ address }) => address);
  process.stdout.write(
    `${[
      "Three servers, one cluster:",
      ...lines,
      "Any of them takes any call; try:",
      `  echo hello | ${text} produce default --server ${first}`,
      `  ${text} consume default --server ${second}`,
      `  ${text} cluster status --server ${first}`,
      "Ctrl-C stops them.",
    ].join("\n")}\n`,
  );
}

const { port, dir, flags } = readArguments();
const { command, text } = program();
mkdirSync(dir, { recursive: true, mode: 0o700 });
const addresses = Array.from({ length: SIZE }, (_, place) => `127.0.0.1:${port + place}`);
const servers = addresses.map((_, place) => launch(place, addresses));
let isStopping = false;
const stopped = new Promise<void>((done) => {
  const stop = (): void => {
    // The second one ends the servers at once, as it does with one server.
    if (isStopping) for (const { child } of servers) child.kill("SIGKILL");
    isStopping = true;
    done();
  };
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
});
try {
  const ready = Promise.all(servers.map(whenReady)).then(() => whenServing(servers));
  await Promise.race([ready, stopped]);
  if (!isStopping) say(servers);
  for (const { child, address, logFile, ended } of servers) {
    void ended.then(() => {
      if (isStopping) return;
      const why = child.signalCode ?? child.exitCode ?? "an error";
      process.stderr.write(`The server at ${address} ended with ${why}: see ${logFile}\n`);
    });
  }
  await Promise.race([stopped, Promise.all(servers.map(({ ended }) => ended))]);
} catch (error) {
  process.stderr.write(`scripts/cluster: ${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
} finally {
  isStopping = true;
  await stopAll(servers);
}
