import type { DescMessage, MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { InvariantError, never } from "../base/assert.ts";
import { type ErrorMetadata, ProglogError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { type ErrorCode, REASONS } from "../base/reasons.ts";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  PreconditionFailureSchema,
  QuotaFailureSchema,
  RequestInfoSchema,
  ResourceInfoSchema,
  RetryInfoSchema,
} from "../gen/google/rpc/error_details_pb.ts";

/** `google.rpc.ErrorInfo.domain` of all our errors. */
const ERROR_DOMAIN = "proglog";

/** What a client is told to wait before it tries again, in milliseconds. */
const RETRY_DELAY_MS = 500;

const CODES = {
  invalid_argument: Code.InvalidArgument,
  not_found: Code.NotFound,
  already_exists: Code.AlreadyExists,
  failed_precondition: Code.FailedPrecondition,
  aborted: Code.Aborted,
  out_of_range: Code.OutOfRange,
  resource_exhausted: Code.ResourceExhausted,
  unavailable: Code.Unavailable,
  data_loss: Code.DataLoss,
  deadline_exceeded: Code.DeadlineExceeded,
  canceled: Code.Canceled,
  unimplemented: Code.Unimplemented,
  internal: Code.Internal,
} as const satisfies Record<ErrorCode, Code>;

type Detail = NonNullable<ConstructorParameters<typeof ConnectError>[3]>[number];

/** Whether something was aborted, and why: a signal, or who could make one. */
type Abortion = Pick<AbortSignal, "aborted" | "reason">;

/** Turns whatever was thrown into an error of the table, and that into what a client may see. */
export class ErrorMap {
  readonly #logger: Logger;
  readonly #onFatal: (error: unknown) => void;
  readonly #idPrefix: string;
  readonly #hasDetails: boolean;
  #unknownCount = 0;

  /**
   * @param idPrefix begins the ids of internal errors, so that those of two runs differ
   * @param onFatal is told of a broken invariant: the process must end
   * @param options.hasDetails false for the conformance suite, which counts details and
   *   refuses those it did not ask for
   */
  constructor(
    logger: Logger,
    idPrefix: string,
    onFatal: (error: unknown) => void,
    { hasDetails = true } = {},
  ) {
    this.#logger = logger;
    this.#idPrefix = idPrefix;
    this.#onFatal = onFatal;
    this.#hasDetails = hasDetails;
  }

  /** The error on the wire: code, message, one ErrorInfo, and at most one of each other detail. */
  encode(error: ProglogError): ConnectError {
    return new ConnectError(
      error.message.toWellFormed(), // a name from JSON may hold half of a pair
      CODES[REASONS[error.reason].code],
      undefined,
      this.#hasDetails ? detailsOf(error) : [],
      error,
    );
  }

  /**
   * @param signal of the call, or the call itself: when it was aborted, that is what happened, whatever
   *   a layer below made of it
   */
  toProglogError(thrown: unknown, method: string, signal?: Abortion): ProglogError {
    if (thrown instanceof ProglogError) return withTrueReason(thrown, signal);
    if (signal?.aborted === true && signal.reason instanceof ProglogError) {
      if (thrown === signal.reason || isAbortError(thrown)) return signal.reason;
    }
    return this.#internal(thrown, method);
  }

  /**
   * An error that a client made and that has the code INTERNAL, since the protocol
   * wants it so. No defect: any client could fill the log with it.
   */
  clientInternal(message: string, method: string): ProglogError {
    const requestId = this.#nextId();
    this.#logger.debug(message, { method, requestId });
    return new ProglogError("INTERNAL", message, { metadata: { requestId } });
  }

  #nextId(): string {
    this.#unknownCount += 1;
    return `${this.#idPrefix}-${this.#unknownCount}`;
  }

  /** Its text may hold paths or secrets: it goes to the log, and the client gets its number. */
  #internal(thrown: unknown, method: string): ProglogError {
    const requestId = this.#nextId();
    this.#logger.error("A call failed for an unknown reason", { method, requestId }, thrown);
    if (thrown instanceof InvariantError) this.#onFatal(thrown);
    return new ProglogError("INTERNAL", "Internal error", {
      metadata: { requestId },
      cause: thrown,
    });
  }
}

/** The layers below know that they were told to stop, but not always why. */
function withTrueReason(error: ProglogError, signal: Abortion | undefined): ProglogError {
  if (error.reason !== "CANCELED" || signal?.aborted !== true) return error;
  const cause = signal.reason;
  if (!(cause instanceof ProglogError) || cause.reason === "CANCELED") return error;
  return new ProglogError(cause.reason, cause.message, {
    metadata: { ...cause.metadata, ...error.metadata },
    cause: error,
  });
}

function isAbortError(thrown: unknown): boolean {
  return thrown instanceof Error && thrown.name === "AbortError";
}

function detailsOf(error: ProglogError): Detail[] {
  return [
    detail(ErrorInfoSchema, {
      reason: error.reason,
      domain: ERROR_DOMAIN,
      metadata: { ...error.metadata },
    }),
    ...detailsOfCode(REASONS[error.reason].code, error),
    ...detailsOfRetry(error),
  ];
}

function detailsOfCode(code: ErrorCode, error: ProglogError): readonly Detail[] {
  const { metadata, reason, message: description } = error;
  switch (code) {
    case "invalid_argument": {
      const field = fieldOf(error);
      return [detail(BadRequestSchema, { fieldViolations: [{ field, description, reason }] })];
    }
    case "not_found":
    case "already_exists":
      return resourceDetails(metadata, description);
    case "failed_precondition": {
      const subject = metadata["topic"] ?? metadata["producerId"] ?? "";
      return [
        detail(PreconditionFailureSchema, { violations: [{ type: reason, subject, description }] }),
      ];
    }
    case "resource_exhausted":
      return [detail(QuotaFailureSchema, { violations: [{ subject: reason, description }] })];
    case "internal":
      return [detail(RequestInfoSchema, { requestId: metadata["requestId"] ?? "" })];
    case "aborted":
    case "out_of_range":
    case "unavailable":
    case "data_loss":
    case "deadline_exceeded":
    case "canceled":
    case "unimplemented":
      return [];
    default:
      return never(code);
  }
}

function resourceDetails(metadata: ErrorMetadata, description: string): readonly Detail[] {
  const topic = metadata["topic"];
  const offset = metadata["offset"];
  if (topic === undefined && offset === undefined) return [];
  return [
    detail(ResourceInfoSchema, {
      resourceType: offset === undefined ? "proglog.v1.Topic" : "proglog.v1.Record",
      resourceName: offset ?? topic ?? "",
      description,
    }),
  ];
}

function detailsOfRetry(error: ProglogError): readonly Detail[] {
  const { retry } = REASONS[error.reason];
  if (retry !== "after-backoff" && retry !== "at-leader") return [];
  return [
    detail(RetryInfoSchema, { retryDelay: { seconds: 0n, nanos: RETRY_DELAY_MS * 1_000_000 } }),
  ];
}

/** The field of the request that an error is about, as the proto files spell it. */
function fieldOf({ reason, metadata }: ProglogError): string {
  if (metadata["field"] !== undefined) return metadata["field"];
  if (metadata["recordNumber"] !== undefined) return `records[${metadata["recordNumber"]}]`;
  if (reason === "TOPIC_NAME_INVALID") return "topic";
  return reason.startsWith("BATCH_") ? "records" : "";
}

function detail<D extends DescMessage>(desc: D, value: MessageInitShape<D>): Detail {
  return { desc, value };
}
