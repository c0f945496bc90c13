import { createServer, type Http2Server } from "node:http2";
import type { AddressInfo } from "node:net";
import { create } from "@bufbuild/protobuf";
import { ConnectError, type ConnectRouter } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { ProglogError } from "../../../src/base/errors.ts";
import { SILENT_LOGGER } from "../../../src/base/log.ts";
import type { Reason } from "../../../src/base/reasons.ts";
import {
  LogService,
  type ProduceRequest,
  type ProduceResponse,
  ProduceResponseSchema,
} from "../../../src/gen/proglog/v1/log_service_pb.ts";
import type { Record as LogRecord } from "../../../src/gen/proglog/v1/record_pb.ts";
import { TopicService } from "../../../src/gen/proglog/v1/topic_service_pb.ts";
import { ErrorMap } from "../../../src/rpc/error-map.ts";

const ERRORS = new ErrorMap(SILENT_LOGGER, "stub", () => {});

/** An error as the real server makes it. */
export function refusal(
  reason: Reason,
  message: string,
  metadata: Record<string, string> = {},
): ConnectError {
  return ERRORS.encode(new ProglogError(reason, message, { metadata }));
}

/**
 * A server in memory that speaks the API over HTTP/2 and fails when told to. For
 * the client's behaviour, not the server's: the end-to-end tests use the real one.
 */
export class StubServer {
  records: LogRecord[] = [];
  requests: ProduceRequest[] = [];
  /** Answered to producers, by id and sequence, as the real one does for retries. */
  #remembered = new Map<string, ProduceResponse>();
  readonly #sessions = new Set<{ destroy(): void }>();
  #server: Http2Server;
  port = 0;
  /** Looks at each batch before it is appended; throws to refuse it. */
  onBatch: (batch: ProduceRequest) => void | Promise<void> = () => {};
  /** Called after a batch was appended and before it is acknowledged. */
  onAppended: () => void = () => {};

  /** In one message of a stream. */
  recordsPerMessage = Number.POSITIVE_INFINITY;
  /** Called after a message of a stream went out, with the offset after it. */
  onMessage: (end: number) => void = () => {};

  constructor() {
    this.#server = this.#make();
  }

  /** Serves the same topic as another server, as those of a cluster do. */
  share(other: StubServer): void {
    this.records = other.records;
    this.requests = other.requests;
    this.#remembered = other.#remembered;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => {
      this.#server.listen(this.port, "127.0.0.1", resolve);
    });
    this.port = (this.#server.address() as AddressInfo).port;
    return this;
  }

  /** As a process that is killed: connections end without a word. */
  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.cut();
    await closed;
  }

  /** Cuts every connection, and goes on listening. */
  cut(): void {
    for (const session of this.#sessions) session.destroy();
  }

  async restart(): Promise<void> {
    await this.stop();
    this.#server = this.#make();
    await this.start();
  }

  #make(): Http2Server {
    const server = createServer(connectNodeAdapter({ routes: (router) => this.#routes(router) }));
    server.on("session", (session) => {
      this.#sessions.add(session);
      session.on("error", () => {});
      session.on("close", () => this.#sessions.delete(session));
    });
    return server;
  }

  #routes(router: ConnectRouter): void {
    const self = this;
    router.service(LogService, {
      openProducer: () => ({ epoch: 7n, maxInFlight: 5 }),
      async *produceStream(messages) {
        let batchNumber = 0;
        for await (const { batches } of messages) {
          for (const batch of batches) {
            try {
              yield { acknowledgements: [await self.#append(batch)] };
            } catch (thrown) {
              throw self.#withBatchNumber(thrown, batchNumber);
            }
            batchNumber += 1;
          }
        }
      },
      async *consumeStream(request, context) {
        let next = Number(request.start.value ?? 0);
        const end = request.endOffset === undefined ? undefined : Number(request.endOffset);
        while (!context.signal.aborted) {
          const last = Math.min(end ?? self.records.length, next + self.recordsPerMessage);
          const records = self.records.slice(next, last).map((record, place) => ({
            offset: BigInt(next + place),
            appendTimeUnixUs: 1_764_072_000_000_000n + BigInt(next + place),
            record,
          }));
          next += records.length;
          const highWatermark = BigInt(self.records.length);
          yield { records, resumeOffset: BigInt(next), highWatermark, topicId: 3n };
          self.onMessage(next);
          if (end !== undefined && next >= end) return;
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      },
    });
    router.service(TopicService, {
      getTopic: ({ topic }) => {
        self.#check(topic);
        return {
          topic: { name: topic, id: 3n },
          status: { firstOffset: 0n, nextOffset: BigInt(self.records.length) },
        };
      },
      findOffset: ({ topic, start }) => {
        self.#check(topic);
        const count = self.records.length;
        const last = start.case === "lastRecords" ? Math.min(count, Number(start.value)) : count;
        const nextOffset = BigInt(count);
        return { offset: BigInt(count - last), firstOffset: 0n, nextOffset, topicId: 3n };
      },
    });
  }

  #check(topic: string): void {
    if (topic === "orders") return;
    throw refusal("TOPIC_NOT_FOUND", `Cannot find topic "${topic}": there is none`, { topic });
  }

  async #append(batch: ProduceRequest): Promise<ProduceResponse> {
    this.requests.push(batch);
    const { producer } = batch;
    const key = producer === undefined ? undefined : `${producer.id}/${producer.sequence}`;
    const known = key === undefined ? undefined : this.#remembered.get(key);
    if (known !== undefined) return { ...known, duplicate: true };
    await this.onBatch(batch);
    const first = this.records.length;
    this.records.push(...batch.records);
    const answer = create(ProduceResponseSchema, {
      firstOffset: BigInt(first),
      lastOffset: BigInt(this.records.length - 1),
    });
    if (key !== undefined) this.#remembered.set(key, answer);
    this.onAppended();
    return answer;
  }

  #withBatchNumber(thrown: unknown, batchNumber: number): unknown {
    if (!(thrown instanceof ConnectError && thrown.cause instanceof ProglogError)) return thrown;
    const { reason, message, metadata } = thrown.cause;
    return refusal(reason, message, { ...metadata, batchNumber: String(batchNumber) });
  }
}
