import type { Command } from "./command.ts";
import { makeCompletionCommand } from "./commands/completion.ts";
import { configShowCommand } from "./commands/config-show.ts";
import { consumeCommand } from "./commands/consume.ts";
import { logImportCommand } from "./commands/log-import.ts";
import { logInspectCommand } from "./commands/log-inspect.ts";
import { logRepairCommand, logVerifyCommand } from "./commands/log-verify.ts";
import { produceCommand } from "./commands/produce.ts";
import { serveCommand } from "./commands/serve.ts";
import { topicGetCommand, topicListCommand } from "./commands/topic-read.ts";
import { topicDeleteCommand, topicTrimCommand } from "./commands/topic-remove.ts";
import { topicCreateCommand, topicUpdateCommand } from "./commands/topic-write.ts";
import { versionCommand } from "./commands/version.ts";

/** Every command, in the order in which help shows them. */
export const COMMANDS: readonly Command[] = [
  serveCommand,
  produceCommand,
  consumeCommand,
  topicCreateCommand,
  topicListCommand,
  topicGetCommand,
  topicUpdateCommand,
  topicDeleteCommand,
  topicTrimCommand,
  logInspectCommand,
  logVerifyCommand,
  logRepairCommand,
  logImportCommand,
  configShowCommand,
  versionCommand,
  makeCompletionCommand(() => COMMANDS),
];
