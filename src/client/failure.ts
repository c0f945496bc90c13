import { Code, ConnectError } from "@connectrpc/connect";
import { REASONS, type Reason } from "../base/errors.ts";
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
}

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
  return {
    code: error.code,
    reason,
    metadata: info?.metadata ?? {},
    message: reason === undefined ? describeTransportError(error) : error.rawMessage,
    isRetryable:
      info === undefined
        ? CONNECTION_CODES.includes(error.code)
        : reason !== undefined && REASONS[reason].retry !== "no",
  };
}

/** The innermost cause says most: `ECONNREFUSED`, not that a stream was closed. */
function describeTransportError(error: ConnectError): string {
  let cause: unknown = error.cause;
  for (let depth = 0; depth < 5; depth += 1) {
    const { code, cause: inner } = (cause ?? {}) as { code?: unknown; cause?: unknown };
    if (typeof code === "string" && code in PLATFORM_MESSAGES) {
      return PLATFORM_MESSAGES[code] ?? error.rawMessage;
    }
    if (inner === undefined) break;
    cause = inner;
  }
  const isClosed =
    error.code === Code.Canceled && error.rawMessage.startsWith("http/2 stream closed");
  if (isClosed) return "connection lost";
  return error.rawMessage === "" ? Code[error.code] : error.rawMessage;
}

const PLATFORM_MESSAGES: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection lost",
  ENOTFOUND: "no such host",
  EAI_AGAIN: "the host's name cannot be resolved now",
  ETIMEDOUT: "connection timed out",
  EHOSTUNREACH: "host unreachable",
  EPROTO: "the server does not speak TLS, or not this kind",
  DEPTH_ZERO_SELF_SIGNED_CERT: "the server's certificate is not trusted, name its CA: --tls-ca",
  SELF_SIGNED_CERT_IN_CHAIN: "the server's certificate is not trusted, name its CA: --tls-ca",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "the server's certificate is not trusted, name its CA: --tls-ca",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    "the server's certificate is not trusted, name its CA: --tls-ca",
  CERT_HAS_EXPIRED: "the server's certificate has expired",
  ERR_TLS_CERT_ALTNAME_INVALID: "the server's certificate is for another name",
};
