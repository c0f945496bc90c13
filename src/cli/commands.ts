import type { Command } from "./command.ts";
import {
  clusterMoveCommand,
  clusterRebalanceCommand,
  clusterTransferCommand,
} from "./commands/cluster-placement.ts";
import { clusterServersCommand, clusterStatusCommand } from "./commands/cluster-read.ts";
import {
  clusterAddCommand,
  clusterDrainCommand,
  clusterRemoveCommand,
  clusterUndrainCommand,
} from "./commands/cluster-servers.ts";
import { makeCompletionCommand } from "./commands/completion.ts";
import { configShowCommand } from "./commands/config-show.ts";
import { consumeCommand } from "./commands/consume.ts";
import { logImportCommand } from "./commands/log-import.ts";
import { logInspectCommand } from "./commands/log-inspect.ts";
import { logRepairCommand, logVerifyCommand } from "./commands/log-verify.ts";
import { produceCommand } from "./commands/produce.ts";
import { serveCommand } from "./commands/serve.ts";
import { topicDescribeCommand } from "./commands/topic-describe.ts";
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
  topicDescribeCommand,
  topicUpdateCommand,
  topicDeleteCommand,
  topicTrimCommand,
  clusterStatusCommand,
  clusterServersCommand,
  clusterAddCommand,
  clusterDrainCommand,
  clusterUndrainCommand,
  clusterRemoveCommand,
  clusterTransferCommand,
  clusterMoveCommand,
  clusterRebalanceCommand,
  logInspectCommand,
  logVerifyCommand,
  logRepairCommand,
  logImportCommand,
  configShowCommand,
  versionCommand,
  makeCompletionCommand(() => COMMANDS),
];
