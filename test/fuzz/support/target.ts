import assert from "node:assert/strict";
import { connect } from "node:http2";
import type { TestContext } from "node:test";
import { KIB } from "../../../src/base/units.ts";
import type { ListenOptions } from "../../../src/platform/http-options.ts";
import type { HandlerOptions } from "../../../src/rpc/routes.ts";
import { type Api, MemoryLogger, startApi } from "../../rpc/api.ts";
import { request } from "../../rpc/ports.ts";
import { envelope, produceRequest } from "../../rpc/raw-calls.ts";

/** Limits so low that anything which is not given back is missed soon. */
const LIMITS = { callsMax: 64, streamsMax: 32, bodyBytesMax: 16 * KIB };
const CONNECTIONS_MAX = 64;
/** What is left of a client that is gone must go within this time. */
const SETTLE_MS = 10_000;

/** The whole API on a port, which is to bear whatever comes. */
export class Target {
  readonly api: Api;
  readonly #logger: MemoryLogger;
  readonly #openCalls: () => number;
  readonly #isTls: boolean;

  private constructor(
    api: Api,
    logger: MemoryLogger,
    openCalls: () => number,
    { tls }: Partial<ListenOptions>,
  ) {
    this.api = api;
    this.#logger = logger;
    this.#openCalls = openCalls;
    this.#isTls = tls !== undefined;
  }

  static async start(
    t: TestContext,
    options: Partial<HandlerOptions> = {},
    listenOptions: Partial<ListenOptions> = {},
  ): Promise<Target> {
    const logger = new MemoryLogger();
    let openCalls = 0;
    const api = await startApi(
      t,
      {
        limits: LIMITS,
        logger,
        hook: () => {
          openCalls += 1;
          return () => {
            openCalls -= 1;
          };
        },
        ...options,
      },
      { logger, limits: { connectionsMax: CONNECTIONS_MAX }, ...listenOptions },
    );
    return new Target(api, logger, () => openCalls, listenOptions);
  }

  get port(): number {
    return this.api.port;
  }

  /** Resolves when nothing is left of clients that are gone; fails when something stays. */
  async settled(): Promise<void> {
    const untilMs = performance.now() + SETTLE_MS;
    const left = () =>
      `${this.api.listener.connectionCount} connections, ${this.#openCalls()} calls`;
    while (left() !== "0 connections, 0 calls") {
      assert.ok(performance.now() < untilMs, `Still open: ${left()}`);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  /** The server answers as ever, and met no defect of its own. */
  async assertWell(): Promise<void> {
    if (!this.#isTls) assert.equal((await request(this.port, "/livez")).status, 200);
    assert.equal(await callWell(this.#isTls ? "https" : "http", this.port), "0");
    const defects = this.#logger.lines.filter(({ level }) => level !== "debug");
    assert.deepEqual(defects, []);
  }
}

/** One gRPC call on a connection of its own. @returns its `grpc-status` */
async function callWell(scheme: string, port: number): Promise<string> {
  const session = connect(`${scheme}://127.0.0.1:${port}`, { rejectUnauthorized: false });
  session.on("error", () => {});
  const stream = session.request({
    ":method": "POST",
    ":path": "/proglog.v1.LogService/Produce",
    "content-type": "application/grpc",
    te: "trailers",
  });
  let status = "none";
  stream.on("trailers", (found) => {
    status = String(found["grpc-status"]);
  });
  stream.on("error", () => {});
  stream.resume();
  stream.end(envelope(produceRequest(10)));
  await new Promise((resolve) => stream.once("close", resolve));
  session.destroy();
  return status;
}
