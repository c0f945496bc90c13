import { loadSettings } from "../../server/load-settings.ts";
import { runServer } from "../../server/run-server.ts";
import { readTlsFiles } from "../../server/tls-files.ts";
import type { Command, CommandInput } from "../command.ts";
import type { CommandContext } from "../context.ts";
import { EXIT } from "../exit-codes.ts";
import { endingOf } from "../failures.ts";
import { SETTING_FLAGS, settingsFrom } from "../setting-flags.ts";

export const serveCommand: Command = {
  words: ["serve"],
  summary: "Run a server.",
  examples: [
    { line: "proglog serve", says: "On 127.0.0.1:8400, data in ./data." },
    {
      line: "proglog serve --listen 127.0.0.1:0 --data-dir /var/lib/proglog",
      says: "On a free port, which is printed when the server is ready.",
    },
    {
      line: "proglog serve --listen 0.0.0.0:8400 --tls-cert s.pem --tls-key s.key --tls-client-ca ca.pem",
      says: "For other machines, which show a certificate.",
    },
  ],
  arguments: [],
  flags: [
    { name: "check-config", help: "Read the settings and the TLS files, and stop." },
    ...SETTING_FLAGS,
  ],
  details: [
    "Prints one plain line, `listening on HOST:PORT`, to standard error when it is ready; the log goes " +
      "there too. SIGTERM and SIGINT let calls in flight finish and save everything, a second one ends " +
      "it at once. SIGHUP reads the TLS files and the log level again.",
  ],
  run: serve,
};

async function serve(input: CommandInput, context: CommandContext): Promise<number> {
  const load = () => loadSettings(settingsFrom(input), context.env);
  const loaded = await load();
  if (input.has("check-config")) {
    await readTlsFiles(loaded.settings);
    for (const warning of loaded.warnings) context.say(`Warning: ${warning}`);
    context.say("The configuration can be used");
    return EXIT.fine;
  }
  const failure = await runServer({
    loaded,
    load,
    stopping: context.interrupted,
    isTerminal: context.isStderrTerminal,
    announce: (address) => context.sayRaw(`listening on ${address}\n`),
  });
  if (failure === undefined) return EXIT.fine;
  return endingOf(failure.error).exitCode;
}
