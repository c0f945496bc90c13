import type { Clock } from "../../base/clock.ts";
import type { LeaderPlace } from "../../cluster/cluster-view.ts";
import type { HttpOutgoing, HttpPool } from "../../platform/http-pool.ts";
import type { Call } from "../call.ts";
import { PROTOCOL_FIELDS } from "../lean/fields.ts";
import { type Margin, marginOf } from "../margin.ts";
import { GRPC_FIELDS } from "../peer/grpc-client.ts";
import { FORWARDED_HEADER, HopFailure } from "./hop-failure.ts";
import { HopStream } from "./hop-stream.ts";

export interface HopOptions {
  readonly pool: HttpPool;
  readonly clock: Clock;
  /** This server's id. */
  readonly nodeId: () => string;
}

/** So much earlier than we the other server gives up: we are to hear why. */
const MARGIN: Margin = { msMax: 20, part: 0.1 };

/** What fits gRPC's eight digits; a longer time is as good as none. */
const TIMEOUT_MS_MAX = 99_999_999;

/** Fields of a client's request that are about its connection or its protocol, not about the call. */
const OWN_FIELDS: ReadonlySet<string> = new Set([
  ...PROTOCOL_FIELDS,
  "accept",
  "accept-encoding",
  "connection",
  "host",
  "http2-settings",
  "keep-alive",
  "proxy-connection",
  "trailer",
  "transfer-encoding",
  "upgrade",
  FORWARDED_HEADER,
]);

/** Makes a client's call again at another server. */
export class Hop {
  readonly #options: HopOptions;

  constructor(options: HopOptions) {
    this.#options = options;
  }

  /**
   * Sends one message, and gives the one of the answer.
   * @throws HopFailure; the other server's error as a ConnectError
   */
  async unary(place: LeaderPlace, call: Call, message: Uint8Array): Promise<Uint8Array> {
    const stream = await this.stream(place, call);
    stream.send([message]);
    stream.endSending();
    const answer = await stream.next();
    if (answer === undefined) throw new HopFailure("The answer has no message", true);
    // Its status comes behind it.
    if ((await stream.next()) === undefined) return answer;
    stream.cancel();
    throw new HopFailure("The answer has more than one message", true);
  }

  /** Begins the call. @throws HopFailure: nothing was sent */
  async stream(place: LeaderPlace, call: Call): Promise<HopStream> {
    const { pool } = this.#options;
    const opening = pool.open(place.address, this.#fieldsFor(call));
    const stream = opening instanceof Promise ? await unlessAborted(opening, call) : opening;
    return new HopStream(stream, call, () => pool.isSilent(stream));
  }

  #fieldsFor(call: Call): Record<string, string> {
    const fields: Record<string, string> = {
      ":method": "POST",
      ":path": `/${call.method}`,
      ...GRPC_FIELDS,
      [FORWARDED_HEADER]: this.#options.nodeId(),
    };
    for (const [name, value] of Object.entries(call.headers)) {
      if (value === undefined || name.startsWith(":") || OWN_FIELDS.has(name)) continue;
      fields[name] = Array.isArray(value) ? value.join(", ") : value;
    }
    const leftMs = call.dueMs - this.#options.clock.monotonicMs();
    const timeoutMs = Math.ceil(leftMs - marginOf(leftMs, MARGIN));
    if (timeoutMs <= TIMEOUT_MS_MAX) fields["grpc-timeout"] = `${Math.max(timeoutMs, 1)}m`;
    return fields;
  }
}

/** @throws HopFailure: nothing was sent */
async function unlessAborted(opening: Promise<HttpOutgoing>, call: Call): Promise<HttpOutgoing> {
  let leave = () => {};
  const aborted = new Promise<undefined>((resolve) => {
    leave = call.whenAborted(() => resolve(undefined));
  });
  try {
    const stream = await Promise.race([opening, aborted]);
    if (stream !== undefined) return stream;
  } catch (cause) {
    throw new HopFailure("Nobody answers there", false, { cause });
  } finally {
    leave();
  }
  // The connection may come all the same, for others.
  opening.then(
    (late) => {
      late.on("error", () => {});
      late.close();
    },
    () => {},
  );
  throw new HopFailure("The call was given up", false);
}
