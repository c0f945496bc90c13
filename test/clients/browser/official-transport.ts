import {
  create,
  type DescMessage,
  type DescMethod,
  fromBinary,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { findTrailerError } from "@connectrpc/connect/protocol-grpc";
import { GrpcWebClientBase, MethodDescriptor, MethodType, type RpcError } from "grpc-web";
import { EventQueue } from "./event-queue.ts";

/**
 * The official client of gRPC-Web, npm's `grpc-web`, as a transport: so that the checks that
 * all clients pass can be made with it. What goes over the wire, and when a message is seen,
 * is its doing; messages are protobuf-es's.
 *
 * @param format `text` is the default of its code generator
 */
export function createOfficialTransport(baseUrl: string, format: "text" | "binary"): Transport {
  const client = new GrpcWebClientBase({ format, maxReceiveMessageSize: 0 });
  return {
    unary: async (method, signal, timeoutMs, _header, input) => {
      const message = await new Promise<MessageShape<typeof method.output>>((resolve, reject) => {
        const call = client.rpcCall(
          urlOf(baseUrl, method),
          create(method.input, input),
          metadataOf(timeoutMs),
          descriptorOf(baseUrl, method),
          (error: RpcError | null, answer) =>
            error ? reject(toConnectError(error)) : resolve(answer),
        );
        onAbort(signal, () => {
          call.cancel();
          reject(canceled());
        });
      });
      return { stream: false, service: method.parent, method, message, ...noMetadata() };
    },

    stream: async (method, signal, timeoutMs, _header, inputs) => {
      for await (const input of inputs) {
        const call = client.serverStreaming(
          urlOf(baseUrl, method),
          create(method.input, input),
          metadataOf(timeoutMs),
          descriptorOf(baseUrl, method),
        );
        const messages = new EventQueue<MessageShape<typeof method.output>>();
        call.on("data", (message) => messages.push(message));
        call.on("error", (error) => messages.fail(toConnectError(error)));
        call.on("end", () => messages.end());
        onAbort(signal, () => {
          call.cancel();
          messages.fail(canceled());
        });
        return { stream: true, service: method.parent, method, message: messages, ...noMetadata() };
      }
      throw new ConnectError("a stream without a request", Code.Internal);
    },
  };
}

function urlOf(baseUrl: string, method: DescMethod): string {
  return `${baseUrl}/${method.parent.typeName}/${method.name}`;
}

/** What protoc-gen-grpc-web would have written. */
function descriptorOf<I extends DescMessage, O extends DescMessage>(
  baseUrl: string,
  method: DescMethod & { readonly input: I; readonly output: O },
): MethodDescriptor<MessageShape<I>, MessageShape<O>> {
  return new MethodDescriptor<MessageShape<I>, MessageShape<O>>(
    urlOf(baseUrl, method).slice(baseUrl.length),
    method.methodKind === "unary" ? MethodType.UNARY : MethodType.SERVER_STREAMING,
    Object as never,
    Object as never,
    (message: MessageShape<I>) => toBinary(method.input, message),
    (bytes: Uint8Array) => fromBinary(method.output, bytes),
  );
}

function metadataOf(timeoutMs: number | undefined): Record<string, string> {
  return timeoutMs === undefined ? {} : { deadline: `${Date.now() + timeoutMs}` };
}

function noMetadata() {
  return { header: new Headers(), trailer: new Headers() };
}

function onAbort(signal: AbortSignal | undefined, listener: () => void): void {
  if (signal?.aborted === true) listener();
  else signal?.addEventListener("abort", listener);
}

function canceled(): ConnectError {
  return new ConnectError("cancelled here", Code.Canceled);
}

/** The details come in a trailer, of which the official client makes metadata. */
function toConnectError({ code, message, metadata }: RpcError): ConnectError {
  const trailer = new Headers(metadata ?? {});
  trailer.set("grpc-status", `${code}`);
  trailer.set("grpc-message", encodeURIComponent(message));
  return findTrailerError(trailer) ?? new ConnectError(message, Code.Unknown);
}
