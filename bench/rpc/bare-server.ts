/**
 * What HTTP/2 and the disk cost without a service: a handler of `node:http2` with fixed
 * answers, to be loaded by the same client as the server.
 *
 *   bun bench/rpc/bare-server.ts DIR [--mend-windows]; node bench/rpc/bare-server.ts DIR
 *
 * - Produce: reads the body, appends it as one entry to a journal of ours, and answers
 *   the same bytes to everyone when that is synced. No limits, no deadline, no parsing.
 * - ConsumeStream: pushes one and the same message, made before, until so many records
 *   are sent as `end_offset` asks for. The topic `bytes-N` has records of N bytes.
 *
 * With `--mend-windows` Bun's HTTP/2 is mended as the server mends it: clients that raise
 * their windows stall without.
 *
 * Listens on a free port, prints it to standard error; ends on SIGTERM.
 */
import {
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import { type AddressInfo, createServer as createNetServer, type Server } from "node:net";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { SILENT_LOGGER } from "../../src/base/log.ts";
import {
  ConsumeStreamRequestSchema,
  ConsumeStreamResponseSchema,
  ProduceResponseSchema,
} from "../../src/gen/proglog/v1/log_service_pb.ts";
import { Durability } from "../../src/gen/proglog/v1/record_pb.ts";
import { Journal } from "../../src/journal/journal.ts";
import { makeSessionWithoutHandle, mendWindows } from "../../src/platform/http-bun-socket.ts";
import { openFileSystem } from "../../src/platform/open-file-system.ts";
import { SystemClock } from "../../src/platform/system-clock.ts";
import { SystemRandom } from "../../src/platform/system-random.ts";
import { STREAM_BYTES_MAX } from "../../src/rpc/limits.ts";

const FRAME_HEAD_BYTES = 5;
const REPLICA_ID = 1;
/** Entries that are kept; the rest is checkpointed, so that files are used again as in service. */
const KEPT_ENTRIES = 1000;
const NOW_US = 1_800_000_000_000_000n;

const HEADERS: OutgoingHttpHeaders = { ":status": 200, "content-type": "application/grpc+proto" };
const TRAILERS: OutgoingHttpHeaders = { "grpc-status": "0" };

const ACKNOWLEDGEMENT = frame(
  toBinary(
    ProduceResponseSchema,
    create(ProduceResponseSchema, {
      firstOffset: 1_000_000n,
      lastOffset: 1_000_000n,
      appendTimeUnixUs: NOW_US,
      durability: Durability.SYNCED_ONE,
    }),
  ),
);

function frame(message: Uint8Array): Buffer {
  const framed = Buffer.alloc(FRAME_HEAD_BYTES + message.length);
  framed.writeUInt32BE(message.length, 1);
  framed.set(message, FRAME_HEAD_BYTES);
  return framed;
}

/** A message as large as the server makes them. */
function pushedMessage(recordBytes: number): { readonly bytes: Buffer; readonly records: number } {
  const value = new Uint8Array(recordBytes).fill(7);
  const records = Math.max(1, Math.floor(STREAM_BYTES_MAX / (recordBytes + 20)));
  return { bytes: messageOf(records, value), records };
}

function messageOf(count: number, value: Uint8Array): Buffer {
  type Response = MessageInitShape<typeof ConsumeStreamResponseSchema>;
  const records: Response["records"] = Array.from({ length: count }, (_, at) => ({
    offset: BigInt(1_000_000 + at),
    appendTimeUnixUs: NOW_US,
    record: { value },
  }));
  const fields: Response = { records, resumeOffset: 1_000_000n, highWatermark: 10_000_000n };
  return frame(toBinary(ConsumeStreamResponseSchema, create(ConsumeStreamResponseSchema, fields)));
}

function answer(stream: ServerHttp2Stream): void {
  if (stream.destroyed) return;
  stream.respond(HEADERS, { waitForTrailers: true });
  stream.once("wantTrailers", () => stream.sendTrailers(TRAILERS));
}

async function push(stream: ServerHttp2Stream, body: Uint8Array): Promise<void> {
  const request = fromBinary(ConsumeStreamRequestSchema, body.subarray(FRAME_HEAD_BYTES));
  const recordBytes = Number(/^bytes-(\d+)$/.exec(request.topic)?.[1] ?? 100);
  const { bytes, records } = pushedMessage(recordBytes);
  let left = Number(request.endOffset ?? 0n);
  answer(stream);
  let wake = (): void => {};
  stream.on("drain", () => wake());
  stream.on("close", () => wake());
  for (; left >= records && !stream.destroyed; left -= records) {
    if (stream.write(bytes)) continue;
    await new Promise<void>((go) => {
      wake = go;
    });
  }
  if (stream.destroyed) return;
  stream.end(messageOf(left, new Uint8Array(recordBytes).fill(7)));
}

/** The same server behind a listener that mends what Bun makes of raised windows. */
function mended(server: Http2Server): Server {
  return createNetServer((socket) => {
    const openStreams = new Set<number>();
    server.once("session", (session) => {
      session.on("stream", (stream: ServerHttp2Stream) => {
        const { id } = stream;
        if (id === undefined) return;
        openStreams.add(id);
        stream.once("close", () => openStreams.delete(id));
      });
    });
    makeSessionWithoutHandle(socket, () => server.emit("connection", socket));
    mendWindows(socket, openStreams, () => true);
  });
}

async function main(dir: string, mendsWindows: boolean): Promise<void> {
  const journal = await Journal.open({
    fs: openFileSystem(dir),
    clock: new SystemClock(),
    random: new SystemRandom(),
    logger: SILENT_LOGGER,
    sync: "always",
    onFailure: (error) => {
      throw error;
    },
  });
  await journal.addReplica({
    replicaId: REPLICA_ID,
    topicId: 1,
    term: 1,
    vote: 1,
    commit: 1,
    snapshotIndex: 1,
    snapshotTerm: 1,
  });
  let index = journal.lastIndex(REPLICA_ID);
  const append = (stream: ServerHttp2Stream, body: Uint8Array): void => {
    index += 1;
    const entry = { index, term: 1, kind: 0, payload: [body] };
    journal.appendRaft({ replicaId: REPLICA_ID, entries: [entry] }, (error) => {
      if (error !== undefined) throw error;
      answer(stream);
      stream.end(ACKNOWLEDGEMENT);
    });
    if (index % KEPT_ENTRIES === 0) {
      journal.setCheckpoint(REPLICA_ID, journal.lastIndex(REPLICA_ID), 1);
    }
  };
  const server = createServer();
  server.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    const chunks: Buffer[] = [];
    stream.on("error", () => {});
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("end", () => {
      const [first] = chunks;
      const body = chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks);
      if (headers[":path"] === "/proglog.v1.LogService/ConsumeStream") void push(stream, body);
      else append(stream, body);
    });
  });
  const isMended = mendsWindows && process.versions["bun"] !== undefined;
  const listener = isMended ? mended(server) : server;
  listener.listen(0, "127.0.0.1", () => {
    const { port } = listener.address() as AddressInfo;
    process.stderr.write(`listening on 127.0.0.1:${port}\n`);
  });
  process.once("SIGTERM", () => process.exit(0));
}

const [dir, option] = process.argv.slice(2);
if (dir === undefined) {
  process.stderr.write("usage: bare-server.ts DIR [--mend-windows]\n");
  process.exit(2);
}
await main(dir, option === "--mend-windows");
