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

  constructor(message: string, isSent: boolean, cause?: unknown) {
    super(message, { cause });
    this.isSent = isSent;
  }
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

/** The connection broke while the other server had the call. */
export function outcomeUnknown(topic: string, place: LeaderPlace, cause: unknown): ProglogError {
  return new ProglogError(
    "NO_QUORUM",
    `Cannot say what came of the call: the connection to server "${place.nodeId}" broke before its answer`,
    { metadata: { topic, ...metadataOf(place), outcome: "unknown" }, cause },
  );
}

/** The connection broke while the other server sent what is read. */
export function streamBroken(topic: string, place: LeaderPlace, cause: unknown): ProglogError {
  return new ProglogError(
    "NO_QUORUM",
    `Cannot go on reading topic "${topic}": the connection to server "${place.nodeId}" broke`,
    { metadata: { topic, ...metadataOf(place) }, cause },
  );
}

function metadataOf(leader: LeaderPlace | undefined): Record<string, string> {
  if (leader === undefined) return {};
  const { nodeId, address, term } = leader;
  return { leaderId: nodeId, leaderAddress: address, leaderTerm: `${term}` };
}
