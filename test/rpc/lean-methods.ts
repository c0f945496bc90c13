import type { ClientHttp2Stream } from "node:http2";
import type { TestContext } from "node:test";
import type { Call } from "../../src/rpc/call.ts";
import type { LeanMethod, LeanOutput, Messages } from "../../src/rpc/lean/lean-method.ts";
import { connect2 } from "./ports.ts";

/** Head fields of a gRPC call. */
export const GRPC = { ":method": "POST", "content-type": "application/grpc", te: "trailers" };

/** An answer's message of so many bytes. */
export const message = (bytes: number) => ({
  parts: [new Uint8Array(bytes)],
  byteLength: bytes,
});

/** A call on a connection of its own, whose request is still open. */
export async function open(t: TestContext, port: number, path: string): Promise<ClientHttp2Stream> {
  const session = await connect2(t, port);
  const stream = session.request({ ...GRPC, ":path": path });
  stream.on("error", () => {});
  return stream;
}

/** A ProduceStream that does what the test says. */
export function bidi(
  run: (input: AsyncIterable<Messages>, output: LeanOutput, call: Call) => Promise<void>,
) {
  const method: LeanMethod = {
    kind: "bidi_streaming",
    run: (input, output, { call }) => run(input, output, call),
  };
  return { methods: { produceStream: method } };
}

/** A ConsumeStream that does what the test says. */
export function serverStream(run: (output: LeanOutput, call: Call) => Promise<void>) {
  const method: LeanMethod = {
    kind: "server_streaming",
    run: (_body, output, { call }) => run(output, call),
  };
  return { methods: { consumeStream: method } };
}
