import type { Command, CommandInput } from "../command.ts";
import { confirm } from "../confirm.ts";
import type { CommandContext } from "../context.ts";
import { type DataFolder, holderOf, openFolder, takeFolder } from "../data-folder.ts";
import { EXIT } from "../exit-codes.ts";
import { describeFinding, findingToJson, warnOfHolder } from "../findings.ts";
import { ProgressLine } from "../progress.ts";
import { repairFolder } from "../repair-folder.ts";
import { OUTPUT_FLAG, YES_FLAG } from "../shared-flags.ts";
import { verifyFolder } from "../verify-folder.ts";

const DIR_ARGUMENT = {
  name: "DIR",
  help: "A server's data folder, or a folder with one log in the seed's format.",
};

export const logVerifyCommand: Command = {
  words: ["log", "verify"],
  summary: "Read everything in a data folder and report what is damaged.",
  examples: [
    { line: "proglog log verify ./data", says: "Exit code 1 when there is damage." },
    { line: "proglog log verify ./data -o json", says: "An object for each finding." },
  ],
  arguments: [DIR_ARGUMENT],
  flags: [OUTPUT_FLAG],
  details: [
    "Checks the checksum of every frame, that offsets have no gaps, every entry of every index, " +
      "checkpoints, and the journal. Changes nothing. Best while no server uses the folder.",
    "A note is no damage: a crash leaves such things, and the next start deals with them.",
  ],
  run: verify,
};

export const logRepairCommand: Command = {
  words: ["log", "repair"],
  summary: "Mend what can be mended in a data folder without losing a record.",
  examples: [
    { line: "proglog log repair ./data", says: "Asks first." },
    { line: "proglog log repair ./data --yes", says: "For scripts." },
    {
      line: "proglog log repair ./data --quarantine",
      says: "Also give up damaged records, so that those after them can be read.",
    },
  ],
  arguments: [DIR_ARGUMENT],
  flags: [
    {
      name: "quarantine",
      help: "Put damaged records aside: their bytes go to files beside the store, readers skip them.",
    },
    YES_FLAG,
    OUTPUT_FLAG,
  ],
  details: [
    "Makes indexes anew, and cuts what a crash left behind the last whole record. Damaged records " +
      "and a damaged journal stay as they are: exit code 1 when there are such. No server may use " +
      "the folder meanwhile.",
    "With --quarantine a damaged record is lost for good, the others keep their offsets. Its bytes are " +
      "kept in NNN.log.damaged-POSITION. A replica or a backup is always the better source.",
  ],
  run: repair,
};

async function verify(input: CommandInput, context: CommandContext): Promise<number> {
  const folder = await openFolder(input.argument("DIR"));
  warnOfHolder(context, await holderOf(folder));
  const counts = { segments: 0, records: 0, bytes: 0 };
  const found = { damage: 0, note: 0 };
  const isJson = input.value("output") === "json";
  const progress = new ProgressLine(context, "output", () => `${counts.records} records checked`);
  try {
    for await (const finding of verifyFolder(folder, counts)) {
      found[finding.severity] += 1;
      const line = isJson
        ? JSON.stringify(findingToJson(finding))
        : `${finding.severity}: ${describeFinding(finding)}`;
      context.stdout.appendLine(line);
    }
  } finally {
    progress.end();
  }
  const { segments, records, bytes } = counts;
  context.say(`Checked ${records} records in ${segments} segments, ${bytes} bytes`);
  context.say(`${found.damage} damaged, ${found.note} notes`);
  return found.damage === 0 ? EXIT.fine : EXIT.failed;
}

async function repair(input: CommandInput, context: CommandContext): Promise<number> {
  const folder = await openFolder(input.argument("DIR"));
  const doesPutAside = input.has("quarantine");
  const what = doesPutAside ? "and give up damaged records " : "";
  if (!(await confirm(`Change files ${what}in ${folder.name}`, input, context))) {
    context.say("Nothing was changed");
    return EXIT.failed;
  }
  const lock = await takeFolder(folder);
  try {
    return await repairLocked(folder, input, context);
  } finally {
    await lock.release();
  }
}

async function repairLocked(
  folder: DataFolder,
  input: CommandInput,
  context: CommandContext,
): Promise<number> {
  const counts = { segments: 0, records: 0, bytes: 0 };
  const isJson = input.value("output") === "json";
  let mended = 0;
  let left = 0;
  for await (const { finding, done } of repairFolder(folder, {
    counts,
    doesPutAside: input.has("quarantine"),
  })) {
    if (done !== undefined) mended += 1;
    else if (finding.severity === "damage") left += 1;
    const line = isJson
      ? JSON.stringify({ ...findingToJson(finding), done })
      : `${describeFinding(finding)}: ${done ?? "left as it is"}`;
    context.stdout.appendLine(line);
  }
  context.say(`Mended ${mended}, damage left: ${left}`);
  return left === 0 ? EXIT.fine : EXIT.failed;
}
