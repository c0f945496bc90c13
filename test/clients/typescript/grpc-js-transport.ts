import { once } from "node:events";
import type { MessageShape } from "@bufbuild/protobuf";
import { ConnectError, type Transport } from "@connectrpc/connect";
import * as grpc from "@grpc/grpc-js";
import { marshal, toConnectError } from "../../support/grpc-js.ts";

const RECEIVE_BYTES_MAX = 64 * 2 ** 20;

/**
 * Calls by @grpc/grpc-js, behind the interface that the checks call by. All that
 * goes over the network is the work of that library. Request headers are not sent.
 */
export function createGrpcJsTransport(baseUrl: string): Transport {
  const client = new grpc.Client(new URL(baseUrl).host, grpc.credentials.createInsecure(), {
    "grpc.max_receive_message_length": RECEIVE_BYTES_MAX,
    // Looks for a server that comes back as often as the checks may hope for.
    "grpc.max_reconnect_backoff_ms": 1_000,
  });
  return {
    async unary(method, signal, timeoutMs, _header, input) {
      const { path, write, read } = marshal(method);
      const message = await new Promise<MessageShape<typeof method.output>>((resolve, reject) => {
        const call = client.makeUnaryRequest(
          path,
          write,
          read,
          input,
          new grpc.Metadata(),
          optionsOf(timeoutMs),
          (error, answer) => {
            if (answer === undefined) reject(asConnectError(error));
            else resolve(answer);
          },
        );
        cancelWith(signal, call);
      });
      return { ...EMPTY, stream: false, service: method.parent, method, message };
    },
    async stream(method, signal, timeoutMs, _header, input) {
      const { path, write, read } = marshal(method);
      const rest = [new grpc.Metadata(), optionsOf(timeoutMs)] as const;
      let call: grpc.ClientReadableStream<MessageShape<typeof method.output>>;
      if (method.methodKind === "server_streaming") {
        call = client.makeServerStreamRequest(path, write, read, await firstOf(input), ...rest);
      } else {
        const both = client.makeBidiStreamRequest(path, write, read, ...rest);
        // When the call fails, whoever reads it is told.
        send(both, input).catch(() => {});
        call = both;
      }
      cancelWith(signal, call);
      const message = withConnectErrors(call);
      return { ...EMPTY, stream: true, service: method.parent, method, message };
    },
  };
}

const EMPTY = { header: new Headers(), trailer: new Headers() };

function optionsOf(timeoutMs: number | undefined): grpc.CallOptions {
  return timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs };
}

function cancelWith(signal: AbortSignal | undefined, call: { cancel(): void }): void {
  signal?.addEventListener("abort", () => call.cancel(), { once: true });
}

async function firstOf<T>(items: AsyncIterable<T>): Promise<T> {
  for await (const item of items) return item;
  throw new Error("A call with one request got none");
}

async function send<T>(
  call: grpc.ClientWritableStream<T> | grpc.ClientDuplexStream<T, unknown>,
  messages: AsyncIterable<T>,
): Promise<void> {
  for await (const message of messages) {
    if (!call.write(message)) await once(call, "drain");
  }
  call.end();
}

async function* withConnectErrors<T>(call: AsyncIterable<T>): AsyncGenerator<T> {
  try {
    yield* call;
  } catch (thrown) {
    throw asConnectError(thrown);
  }
}

function asConnectError(thrown: unknown): ConnectError {
  const isStatus = thrown instanceof Error && "metadata" in thrown;
  return isStatus ? toConnectError(thrown as grpc.ServiceError) : ConnectError.from(thrown);
}
