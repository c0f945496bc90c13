import { ConnectError } from "@connectrpc/connect";
import { ProglogError } from "../../base/errors.ts";
import { REASONS, type Reason } from "../../base/reasons.ts";
import type { LeaderPlace } from "../../cluster/cluster-view.ts";
import { ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";

/** On a call that one server makes for a client of its own: that server's id. It is not forwarded again. */
export const FORWARDED_HEADER = "proglog-forwarded-by";

/** There is no answer from the other server. */
export class HopFailure extends Error {
  override readonly name = "HopFailure";
  /** False: the other server has certainly done nothing. */
  readonly isSent: boolean;
  /** The call was given up, and the other server had been silent before. */
  readonly isSilence: boolean;

  constructor(
    message: string,
    isSent: boolean,
    more: { cause?: unknown; isSilence?: boolean } = {},
  ) {
    super(message, { cause: more.cause });
    this.isSent = isSent;
    this.isSilence = more.isSilence === true;
  }
}

/** What another server was asked for. */
export interface HopErrand {
  readonly topic: string;
  readonly place: LeaderPlace;
  readonly isWrite: boolean;
}

/** An error as far as it matters for what to do next. */
export interface Told {
  readonly reason: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/** What an error says, be it ours or another server's; undefined when it says nothing that is known here. */
export function toldBy(thrown: unknown): Told | undefined {
  if (thrown instanceof ProglogError) return thrown;
  if (!(thrown instanceof ConnectError)) return undefined;
  return thrown.findDetails(ErrorInfoSchema)[0];
}

/** The server cannot take the call now, and has done nothing of it; another one may, or it later. */
export function isMoved(told: Told | undefined): boolean {
  return told !== undefined && MOVED.has(told.reason) && told.metadata["outcome"] !== "unknown";
}

/** What another server says that does not lead, is starting, or stops. */
const MOVED: ReadonlySet<string> = new Set<Reason>(["NOT_LEADER", "STARTING", "DRAINING"]);

/** The leader that an error names; undefined when it names none. */
export function leaderIn({ reason, metadata }: Told): LeaderPlace | undefined {
  const { leaderId: nodeId, leaderAddress: address, leaderTerm = "" } = metadata;
  const isNamed = reason === "NOT_LEADER" && nodeId !== undefined && address !== undefined;
  if (!isNamed || !/^\d{1,15}$/.test(leaderTerm)) return undefined;
  return { nodeId, address, term: Number(leaderTerm) };
}

/** Another server's error for those who count calls by our table. */
export function toOutcome(error: ConnectError): ProglogError {
  const told = toldBy(error);
  const isKnown = told !== undefined && Object.hasOwn(REASONS, told.reason);
  const reason = isKnown ? (told.reason as Reason) : "INTERNAL";
  return new ProglogError(reason, error.rawMessage, {
    metadata: { ...told?.metadata },
    cause: error,
  });
}

/** This server may not pass the call on, and cannot serve it. */
export function notLeader(topic: string, leader: LeaderPlace | undefined): ProglogError {
  const known = leader === undefined ? "nobody is known to" : `server "${leader.nodeId}" does`;
  return new ProglogError(
    "NOT_LEADER",
    `Cannot serve topic "${topic}": this server does not lead it, ${known}`,
    { metadata: { topic, ...metadataOf(leader), outcome: "none" } },
  );
}

/** Nobody was found who serves the call. */
export function noQuorum(topic: string, waitedMs: number, cause: unknown): ProglogError {
  return new ProglogError(
    "NO_QUORUM",
    `Cannot serve topic "${topic}": no server that leads it was found in ${Math.round(waitedMs)} ms`,
    { metadata: { topic, waitedMs: `${Math.round(waitedMs)}`, outcome: "none" }, cause },
  );
}

/** What a client is told of a call that another server had when the connection broke, or was silent. */
export function hopError({ topic, place, isWrite }: HopErrand, cause: HopFailure): ProglogError {
  const what = isWrite ? "Cannot say what came of the call" : `Cannot read topic "${topic}"`;
  const why = cause.isSilence
    ? `server "${place.nodeId}" does not answer any more`
    : `the connection to server "${place.nodeId}" broke`;
  return new ProglogError("NO_QUORUM", `${what}: ${why}`, {
    metadata: { topic, ...metadataOf(place), ...(isWrite ? { outcome: "unknown" } : {}) },
    cause,
  });
}

/** True when a call came to its deadline for want of an answer from a server that is not there any more. */
export function isLateBySilence(thrown: unknown, { reason }: Told): thrown is HopFailure {
  return thrown instanceof HopFailure && thrown.isSilence && reason === "DEADLINE_EXCEEDED";
}

function metadataOf(leader: LeaderPlace | undefined): Record<string, string> {
  if (leader === undefined) return {};
  const { nodeId, address, term } = leader;
  return { leaderId: nodeId, leaderAddress: address, leaderTerm: `${term}` };
}
