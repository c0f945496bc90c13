import { Code, ConnectError } from "@connectrpc/connect";
import { InvariantError } from "../base/assert.ts";
import { ProglogError, platformCode } from "../base/errors.ts";
import { type ErrorCode, REASONS, type Reason } from "../base/reasons.ts";
import { type Failure, failureOf } from "../client/failure.ts";
import { ListenError } from "../server/listen-error.ts";
import { SettingError } from "../server/load-settings.ts";
import { describePlatformError, isPermissionError, stateOf } from "../server/platform-errors.ts";
import { CommandError, UsageError } from "./errors.ts";
import { EXIT } from "./exit-codes.ts";
import { OutputClosedError } from "./output.ts";

/** The command was interrupted by a signal, and has said what there was to say. */
export class InterruptedError extends Error {
  override readonly name = "InterruptedError";
}

/** How a command ends that threw. */
export interface Ending {
  readonly exitCode: number;
  /** For standard error, without the leading `proglog: `. None: say nothing. */
  readonly lines: readonly string[];
}

/** Reasons of INVALID_ARGUMENT that are about what the user wrote, not about the data. */
const USAGE_REASONS: readonly Reason[] = ["TOPIC_NAME_INVALID", "FIELD_INVALID", "SETTING_INVALID"];

/**
 * Turns anything that was thrown into words and an exit code.
 *
 * @param words of the command that was asked for, as far as it is known
 */
export function endingOf(thrown: unknown, words: readonly string[] = []): Ending {
  if (thrown instanceof OutputClosedError) return { exitCode: EXIT.fine, lines: [] };
  if (thrown instanceof InterruptedError) return { exitCode: EXIT.interrupted, lines: [] };
  if (thrown instanceof UsageError) {
    return {
      exitCode: EXIT.usage,
      lines: [thrown.message, `Try: ${["proglog", ...words, "--help"].join(" ")}`],
    };
  }
  if (thrown instanceof SettingError) return { exitCode: EXIT.usage, lines: [thrown.message] };
  if (thrown instanceof ListenError) return { exitCode: EXIT.failed, lines: [thrown.message] };
  if (thrown instanceof CommandError) {
    return { exitCode: thrown.exitCode, lines: [thrown.message] };
  }
  if (thrown instanceof ProglogError) {
    return { exitCode: exitCodeOfReason(thrown.reason), lines: linesOf(thrown) };
  }
  if (thrown instanceof ConnectError) {
    const failure = failureOf(thrown);
    return { exitCode: exitCodeOf(failure), lines: withFix(failure.message, failure.reason) };
  }
  const code = platformCode(thrown);
  if (code !== undefined && thrown instanceof Error && !(thrown instanceof InvariantError)) {
    if ("syscall" in thrown)
      return { exitCode: EXIT.failed, lines: [describePlatformError(thrown)] };
  }
  const stack = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
  return { exitCode: EXIT.bug, lines: ["A defect in proglog, which you can report:", stack] };
}

/** The exit code for a failed call. */
export function exitCodeOf(failure: Failure): number {
  if (failure.reason !== undefined) return exitCodeOfReason(failure.reason);
  return EXIT_OF_CODE[failure.code] ?? EXIT.failed;
}

/** The message, then what to do about it. */
export function withFix(message: string, reason: Reason | undefined): readonly string[] {
  if (reason === undefined) return [message];
  return [message, FIXES[reason] ?? REASONS[reason].fix.replaceAll("`", "")];
}

/** Reasons for which a program cannot use its data folder. */
const FOLDER_REASONS: readonly Reason[] = [
  "DATA_DIR_LOCKED",
  "DATA_DIR_INVALID",
  "SERVER_ID_IN_USE",
];

/** What to do for a person at the command line, where the table speaks to programs. */
const FIXES: Readonly<Partial<Record<Reason, string>>> = {
  FIELD_INVALID: "See the command's --help for the values there are.",
  SETTING_INVALID:
    "See proglog topic create --help for the settings; proglog topic get shows them.",
  FIELD_UNKNOWN: "The server is older than this program: update it.",
  MESSAGE_INVALID: "The server may be of another version than this program: see proglog version.",
  RECORD_INVALID: "The server may be of another version than this program: see proglog version.",
  RECORD_TOO_LARGE:
    "Send a smaller record, or raise the limit: proglog topic update TOPIC --max-record-bytes SIZE.",
  OFFSET_OUT_OF_RANGE:
    "Read from --offset start or --offset end; proglog topic get shows which offsets there are.",
  TOPIC_REPLACED: "It was deleted and made again: its offsets mean other records now. Begin anew.",
  PRODUCER_UNKNOWN: "Run it again; what was in flight may have been appended.",
  DEADLINE_EXCEEDED:
    "Allow more time: --timeout. Produce with --producer-id, so that it is safe to repeat.",
  NOT_LEADER: "Try again: another server has just begun to lead the topic.",
  NO_QUORUM: "Try again; see which servers are up: proglog cluster status.",
  SERVER_HAS_REPLICAS:
    "Drain it first: proglog cluster drain SERVER --wait. --force is for a server that is lost.",
  CANCELED: "Produce with --producer-id, so that it is safe to repeat.",
  RATE_LIMITED: "Try again later, or run fewer producers at once.",
};

/** A disk that refuses for want of permissions is not failing. */
function linesOf(error: ProglogError): readonly string[] {
  if (error.reason !== "DISK_FAILED" || !isPermissionError(error.cause)) {
    return withFix(error.message, error.reason);
  }
  return [
    error.message.replace(/the disk reports E[A-Z]+$/, stateOf(error.cause)),
    "Let this user read and write the data folder and everything in it (chown, chmod).",
  ];
}

function exitCodeOfReason(reason: Reason): number {
  const { code, retry } = REASONS[reason];
  if (code === "invalid_argument") {
    return USAGE_REASONS.includes(reason) ? EXIT.usage : EXIT.failed;
  }
  if (code === "resource_exhausted") return retry === "no" ? EXIT.failed : EXIT.unavailable;
  // Of servers and offline tools alone: the folder cannot be used, no condition was set.
  if (FOLDER_REASONS.includes(reason)) return EXIT.failed;
  if (reason === "DISK_FAILED") return EXIT.failed;
  return EXIT_OF_NAME[code];
}

const EXIT_OF_NAME: Readonly<Record<ErrorCode, number>> = {
  invalid_argument: EXIT.failed,
  not_found: EXIT.notFound,
  already_exists: EXIT.refused,
  failed_precondition: EXIT.refused,
  aborted: EXIT.refused,
  out_of_range: EXIT.notFound,
  resource_exhausted: EXIT.unavailable,
  unavailable: EXIT.unavailable,
  data_loss: EXIT.failed,
  deadline_exceeded: EXIT.unavailable,
  canceled: EXIT.unavailable,
  unimplemented: EXIT.failed,
  internal: EXIT.failed,
};

/** For errors that are not from proglog: the connection, a proxy, another server. */
const EXIT_OF_CODE: Readonly<Partial<Record<Code, number>>> = {
  [Code.NotFound]: EXIT.notFound,
  [Code.Unavailable]: EXIT.unavailable,
  [Code.DeadlineExceeded]: EXIT.unavailable,
  [Code.ResourceExhausted]: EXIT.unavailable,
  [Code.Aborted]: EXIT.unavailable,
  [Code.Canceled]: EXIT.unavailable,
  [Code.Unauthenticated]: EXIT.notAllowed,
  [Code.PermissionDenied]: EXIT.notAllowed,
};
