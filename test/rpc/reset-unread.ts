import { connect } from "node:net";
import { SILENT_LOGGER } from "../../src/base/log.ts";
import { KIB, MIB } from "../../src/base/units.ts";
import { listen } from "../../src/platform/http-listener.ts";
import type { HttpStream } from "../../src/platform/http-options.ts";
import { resetStream } from "../../src/platform/http-reset.ts";
import { SystemClock } from "../../src/platform/system-clock.ts";
import { FrameClient, initialWindow, request } from "./http2-frames.ts";

// A program: resets answers that a client does not read, and then the client goes away, or
// reads what there is. Says "alive" when timers run after that. It is one of its own since
// a server that fails stops everything in its process.

const STREAMS = 40;
/** More than sockets take: each stream has bytes that are written, and not sent. */
const WRITE_BYTES = 240 * KIB;
const TRAILERS = { "grpc-status": "0" };
const WAIT_MS = 300;

const streams: HttpStream[] = [];

function answer(stream: HttpStream): boolean {
  streams.push(stream);
  stream.resume();
  stream.on("wantTrailers", () => stream.sendTrailers(TRAILERS));
  stream.respond({ ":status": 200 }, { waitForTrailers: true });
  for (let n = 0; n < 2; n += 1) stream.write(Buffer.alloc(WRITE_BYTES));
  return true;
}

const listener = await listen({
  host: "127.0.0.1",
  port: 0,
  onRequest: () => {},
  onStream: answer,
  clock: new SystemClock(),
  logger: SILENT_LOGGER,
});
const socket = connect(listener.port, "127.0.0.1");
socket.on("error", () => {});
socket.pause();
socket.write(FrameClient.opening);
socket.write(initialWindow(16 * MIB));
for (let n = 0; n < STREAMS; n += 1) socket.write(request(1 + 2 * n));
while (streams.length < STREAMS) await pass(10);
await pass(WAIT_MS);
for (const stream of streams) resetStream(stream);
await pass(WAIT_MS);
if (process.argv[2] === "leave") socket.destroy();
else socket.resume();
await pass(WAIT_MS);
process.stdout.write("alive\n", () => process.exit(0));

function pass(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
