import { Code, type ConnectError } from "@connectrpc/connect";
import { findTrailerError } from "@connectrpc/connect/protocol-grpc";
import { ProglogError, platformCode } from "../../base/errors.ts";
import { REASONS, type Reason } from "../../base/reasons.ts";
import { ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import type { HttpEnding } from "../../platform/http-client.ts";

const HTTP_OK = 200;

/** How a call to a peer ended; undefined when it ended well. */
export function errorOfEnding(
  { fields, cause }: HttpEnding,
  address: string,
): ProglogError | undefined {
  const status = fields["grpc-status"];
  if (status === "0") return undefined;
  const httpStatus = Number(fields[":status"] ?? HTTP_OK);
  if (status === undefined) {
    return httpStatus === HTTP_OK
      ? unreachableError(address, cause)
      : new ProglogError(
          "PROTOCOL_UNKNOWN",
          `Cannot speak with ${address}: it answers HTTP status ${httpStatus}`,
        );
  }
  const found = findTrailerError(toHeaders(fields));
  return found === undefined ? unreachableError(address, cause) : toProglogError(found);
}

/** @param cause what the platform says */
export function unreachableError(address: string, cause: unknown): ProglogError {
  const why = platformCode(cause) ?? "the connection was lost";
  return new ProglogError("SERVER_UNREACHABLE", `Cannot reach the server at ${address}: ${why}`, {
    metadata: { address },
    cause,
  });
}

function toProglogError(found: ConnectError): ProglogError {
  const info = found.findDetails(ErrorInfoSchema).find(({ domain }) => domain === "proglog");
  const { rawMessage } = found;
  if (info !== undefined && info.reason in REASONS) {
    return new ProglogError(info.reason as Reason, rawMessage, { metadata: info.metadata });
  }
  const reason = found.code === Code.Unimplemented ? "PROTOCOL_UNKNOWN" : "INTERNAL";
  return new ProglogError(reason, rawMessage === "" ? Code[found.code] : rawMessage);
}

function toHeaders(fields: HttpEnding["fields"]): Headers {
  const headers = new Headers();
  for (const name of ["grpc-status", "grpc-message", "grpc-status-details-bin"]) {
    const value = fields[name];
    if (typeof value === "string") headers.set(name, value);
  }
  return headers;
}
