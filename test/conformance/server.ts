/**
 * The server under test: reads from standard input what to start, says on standard
 * output where it is. The suite's runner starts it again for each configuration.
 *
 *   server.ts library|lean [COUNT_DIR]
 */
import { writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Logger } from "../../src/base/log.ts";
import { listen } from "../../src/platform/http-listener.ts";
import type { TlsMaterial } from "../../src/platform/http-options.ts";
import { SystemClock } from "../../src/platform/system-clock.ts";
import { makeHandler } from "./handler.ts";
import { Protos, type ServerRequest, type ServerResponse } from "./messages.ts";

/** Length before a message, on either stream. */
const LENGTH_BYTES = 4;

/** What the server meets that is no client's fault is a finding: the runner shows it. */
const LOGGER: Logger = {
  debug() {},
  info() {},
  warn: (message, _fields, cause) => print(message, cause),
  error: (message, _fields, cause) => print(message, cause),
};

function print(message: string, cause: unknown): void {
  const text = cause instanceof Error ? cause.stack : cause;
  process.stderr.write(`${message}: ${String(text)}\n`);
}

async function readRequest(protos: Protos): Promise<ServerRequest> {
  let seen = Buffer.alloc(0);
  for await (const chunk of process.stdin) {
    seen = Buffer.concat([seen, chunk as Buffer]);
    if (seen.length < LENGTH_BYTES) continue;
    const end = LENGTH_BYTES + seen.readUInt32BE(0);
    if (seen.length >= end) {
      const desc = protos.message<ServerRequest>("ServerCompatRequest");
      return fromBinary(desc, seen.subarray(LENGTH_BYTES, end));
    }
  }
  throw new Error("Standard input ended before the request");
}

function writeResponse(protos: Protos, port: number, pemCert: Uint8Array): void {
  const desc = protos.message<ServerResponse>("ServerCompatResponse");
  const message = toBinary(desc, create(desc, { host: "127.0.0.1", port, pemCert }));
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32BE(message.length);
  writeSync(1, Buffer.concat([length, message]));
}

function tlsOf({ useTls, serverCreds, clientTlsCert }: ServerRequest): TlsMaterial | undefined {
  if (!useTls || serverCreds === undefined) return undefined;
  const { cert, key } = serverCreds;
  return { cert, key, ...(clientTlsCert.length === 0 ? {} : { clientCa: clientTlsCert }) };
}

const [path, countDir] = process.argv.slice(2);
const protos = new Protos();
const request = await readRequest(protos);
const tls = tlsOf(request);
const clock = new SystemClock();
const handler = makeHandler(protos, {
  isLean: path === "lean",
  receiveBytesMax: request.messageReceiveLimit,
  clock,
  logger: LOGGER,
});
const listener = await listen({
  host: "127.0.0.1",
  port: 0,
  onRequest: handler.onRequest,
  onStream: handler.onStream,
  ...(tls === undefined ? {} : { tls }),
  clock,
  logger: LOGGER,
});
process.on("SIGTERM", () => {
  if (countDir !== undefined) {
    writeFileSync(join(countDir, `${process.pid}.json`), JSON.stringify(handler.counts()));
  }
  process.exit(0);
});
writeResponse(protos, listener.port, request.serverCreds?.cert ?? new Uint8Array(0));
