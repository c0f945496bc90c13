import type { Call } from "../call.ts";

/** A call on the lean path: what its handler may know and set beside the messages. */
export interface LeanCall {
  readonly call: Call;
  /** Fields of the request without those of the protocol; made when it is first asked for. */
  readonly requestHeader: Headers;
  /** Fields to send before the first message; made when it is first asked for. */
  readonly responseHeader: Headers;
  /** Fields to send after the last message; made when it is first asked for. */
  readonly responseTrailer: Headers;
}
