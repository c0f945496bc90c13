import { Code, ConnectError } from "@connectrpc/connect";
import { REASONS, type Reason } from "../base/reasons.ts";
import { ErrorInfoSchema } from "../gen/google/rpc/error_details_pb.ts";

/** A failed call, in the terms of the server's own table of reasons. */
export interface Failure {
  readonly code: Code;
  /** Undefined when the error did not come from a proglog server: a lost connection, a proxy. */
  readonly reason: Reason | undefined;
  readonly metadata: Readonly<Record<string, string>>;
  readonly message: string;
  /** The same call may succeed later. */
  readonly isRetryable: boolean;
  /** No server has seen the call: no connection could be made. */
  readonly isUnsent: boolean;
}

/** The message of a connection that ended without a word. */
export const CONNECTION_LOST = "connection lost";

/** Causes of causes that are looked at. */
const CAUSE_DEPTH_MAX = 5;

/** Codes that the transport gives to a connection that could not be made or was lost. */
const CONNECTION_CODES: readonly Code[] = [
  Code.Unavailable,
  Code.Aborted,
  Code.Canceled,
  Code.Unknown,
  Code.Internal,
  Code.DeadlineExceeded,
];

/** Reads what a call threw. */
export function failureOf(thrown: unknown): Failure {
  const error = ConnectError.from(thrown);
  const info = error.findDetails(ErrorInfoSchema).find(({ domain }) => domain === "proglog");
  const reason = info !== undefined && info.reason in REASONS ? (info.reason as Reason) : undefined;
  const refusal = info === undefined ? tlsRefusal(error) : undefined;
  if (refusal !== undefined) {
    const code = Code.Unauthenticated;
    return {
      code,
      reason: undefined,
      metadata: {},
      message: refusal,
      isRetryable: false,
      isUnsent: true,
    };
  }
  return {
    code: error.code,
    reason,
    metadata: info?.metadata ?? {},
    message: reason === undefined ? describeTransportError(error) : error.rawMessage,
    isRetryable:
      info === undefined
        ? CONNECTION_CODES.includes(error.code)
        : reason !== undefined && REASONS[reason].retry !== "no",
    isUnsent: info === undefined && isDialError(error),
  };
}

/** One side does not trust the other's certificate; undefined when it is another error. */
function tlsRefusal(error: ConnectError): string | undefined {
  let cause: unknown = error;
  for (let depth = 0; depth < CAUSE_DEPTH_MAX && cause !== undefined; depth += 1) {
    const { code, message, cause: inner } = cause as Partial<Record<string, unknown>>;
    const known = typeof code === "string" ? TLS_CODES[code] : undefined;
    if (known !== undefined) return known;
    const text = typeof message === "string" ? message : "";
    const found = TLS_ALERTS.find(([pattern]) => pattern.test(text));
    if (found !== undefined) return found[1];
    cause = inner;
  }
  return undefined;
}

function isDialError(error: ConnectError): boolean {
  const code = platformCodeIn(error);
  return code !== undefined && DIAL_CODES.includes(code);
}

/** The innermost cause says most: `ECONNREFUSED`, not that a stream was closed. */
function platformCodeIn(error: ConnectError): string | undefined {
  let cause: unknown = error.cause;
  for (let depth = 0; depth < CAUSE_DEPTH_MAX; depth += 1) {
    const { code, cause: inner } = (cause ?? {}) as { code?: unknown; cause?: unknown };
    if (typeof code === "string" && code in PLATFORM_MESSAGES) return code;
    if (inner === undefined) break;
    cause = inner;
  }
  return undefined;
}

function describeTransportError(error: ConnectError): string {
  const code = platformCodeIn(error);
  if (code !== undefined) return PLATFORM_MESSAGES[code] ?? error.rawMessage;
  const isClosed =
    error.code === Code.Canceled && error.rawMessage.startsWith("http/2 stream closed");
  if (isClosed) return CONNECTION_LOST;
  return error.rawMessage === "" ? Code[error.code] : error.rawMessage;
}

/** Nobody was reached. */
const DIAL_CODES: readonly string[] = ["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH"];

const PLATFORM_MESSAGES: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: CONNECTION_LOST,
  ENOTFOUND: "no such host",
  EAI_AGAIN: "the host's name cannot be resolved now",
  ETIMEDOUT: "connection timed out",
  EHOSTUNREACH: "host unreachable",
  EPROTO: "the server does not speak TLS, or not this kind",
};

const UNTRUSTED = "the server's certificate is not trusted, name its CA: --tls-ca";

const TLS_CODES: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: UNTRUSTED,
  SELF_SIGNED_CERT_IN_CHAIN: UNTRUSTED,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNTRUSTED,
  CERT_SIGNATURE_FAILURE: UNTRUSTED,
  CERT_UNTRUSTED: UNTRUSTED,
  CERT_HAS_EXPIRED: "the server's certificate has expired",
  CERT_NOT_YET_VALID: "the server's certificate is not valid yet",
  ERR_TLS_CERT_ALTNAME_INVALID: "the server's certificate is for another name",
};

/** What the other side says before it closes. Runtimes have no code of their own for these. */
const TLS_ALERTS: readonly (readonly [RegExp, string])[] = [
  [
    /alert[ _](?:handshake[ _]failure|certificate[ _]required)/i,
    "the server wants a client certificate, name one: --client-cert and --client-key",
  ],
  [
    /alert[ _](?:unknown[ _]ca|bad[ _]certificate|certificate[ _](?:unknown|expired|revoked)|access[ _]denied)/i,
    "the server does not accept this client certificate: see --client-cert and --client-key",
  ],
];
