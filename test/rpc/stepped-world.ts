import type { ClientHttp2Session } from "node:http2";
import type { TestContext } from "node:test";
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  toBinary,
} from "@bufbuild/protobuf";
import { concat } from "../../src/base/bytes.ts";
import { ConsumeStreamRequestSchema } from "../../src/gen/proglog/v1/log_service_pb.ts";
import type { HandlerOptions } from "../../src/rpc/routes.ts";
import { SimClock } from "../support/sim-clock.ts";
import { type Api, startApi } from "./api.ts";
import { envelope } from "./raw-calls.ts";

export const SERVICE = "/proglog.v1.LogService";
export const HEARTBEAT_S = 60;
/** How far the clock goes at once: less than any time-out. */
export const STEP_MS = 5_000;

/** A server whose time is stepped by the test. */
export interface World extends Api {
  readonly clock: SimClock;
  /** Calls that are open. */
  openCalls(): number;
}

export async function startWorld(t: TestContext, options: Partial<HandlerOptions>): Promise<World> {
  const clock = new SimClock();
  t.after(() => letTimePass(clock));
  let openCalls = 0;
  const hook = () => {
    openCalls += 1;
    return () => {
      openCalls -= 1;
    };
  };
  const api = await startApi(t, { clock, hook, ...options }, { clock });
  return { ...api, clock, openCalls: () => openCalls };
}

/** The port is closed after the test, and what it closes by force takes some time of its clock. */
function letTimePass(clock: SimClock): void {
  const timer = setInterval(() => clock.advance(STEP_MS), 5);
  setTimeout(() => clearInterval(timer), 250);
}

/** Lets time pass for the server, and after each step lets the network carry what came of it. */
export async function pass(
  { clock }: World,
  durationMs: number,
  carry: () => Promise<void>,
): Promise<void> {
  for (let passedMs = 0; passedMs < durationMs; passedMs += STEP_MS) {
    await clock.advance(STEP_MS);
    await carry();
  }
}

/** Resolves when the server has all that this client had to answer: PING, and acknowledgements of it. */
export async function carry2(session: ClientHttp2Session): Promise<void> {
  for (let count = 0; count < 2; count += 1) {
    await new Promise<void>((resolve, reject) => {
      session.ping((error) => (error ? reject(error) : resolve()));
    });
  }
}

export function encode<D extends DescMessage>(desc: D, init: MessageInitShape<D>): Uint8Array {
  return envelope(toBinary(desc, create(desc, init)));
}

export const TAIL = encode(ConsumeStreamRequestSchema, {
  topic: "default",
  heartbeatInterval: { seconds: BigInt(HEARTBEAT_S) },
});

/** The messages in whole envelopes of `bytes`. */
export function messagesOf<D extends DescMessage>(desc: D, bytes: Uint8Array) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const messages = [];
  for (let at = 0; at + 5 <= bytes.length; ) {
    const end = at + 5 + view.getUint32(at + 1);
    if (end > bytes.length) break;
    if (view.getUint8(at) === 0) messages.push(fromBinary(desc, bytes.subarray(at + 5, end)));
    at = end;
  }
  return messages;
}

/** A gRPC call whose messages are gathered. */
export class Stream2 {
  readonly #stream;
  readonly closed: Promise<void>;
  status: unknown;
  #bytes: Uint8Array = new Uint8Array(0);

  constructor(session: ClientHttp2Session, method: string) {
    this.#stream = session.request({
      ":method": "POST",
      ":path": `${SERVICE}/${method}`,
      "content-type": "application/grpc",
      te: "trailers",
    });
    this.#stream.on("error", () => {});
    this.#stream.on("data", (chunk: Buffer) => {
      this.#bytes = concat([this.#bytes, chunk]);
    });
    this.#stream.on("trailers", (trailers) => {
      this.status = trailers["grpc-status"];
    });
    this.closed = new Promise((resolve) => this.#stream.once("close", () => resolve()));
  }

  write(bytes: Uint8Array): void {
    this.#stream.write(bytes);
  }

  end(bytes?: Uint8Array): void {
    this.#stream.end(bytes);
  }

  messages<D extends DescMessage>(desc: D) {
    return messagesOf(desc, this.#bytes);
  }
}
