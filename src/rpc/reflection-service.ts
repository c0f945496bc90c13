import { type DescFile, type DescService, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { file_google_rpc_error_details } from "../gen/google/rpc/error_details_pb.ts";
import { untilAborted } from "./wakeup.ts";

/** A question of either version of the protocol; the versions differ in name only. */
export interface ReflectionRequest {
  readonly host: string;
  readonly messageRequest:
    | { readonly case: "fileByFilename" | "fileContainingSymbol"; readonly value: string }
    | { readonly case: "allExtensionNumbersOfType" | "listServices"; readonly value: string }
    | {
        readonly case: "fileContainingExtension";
        readonly value: { readonly containingType: string; readonly extensionNumber: number };
      }
    | { readonly case: undefined; readonly value?: undefined };
}

type Answer =
  | { case: "fileDescriptorResponse"; value: { fileDescriptorProto: Uint8Array[] } }
  | { case: "listServicesResponse"; value: { service: { name: string }[] } }
  | {
      case: "allExtensionNumbersResponse";
      value: { baseTypeName: string; extensionNumber: number[] };
    }
  | { case: "errorResponse"; value: { errorCode: number; errorMessage: string } };

interface ReflectionResponse<Request> {
  validHost: string;
  originalRequest: Request;
  messageResponse: Answer;
}

const NOT_FOUND = 5;
const INVALID_ARGUMENT = 3;

/**
 * `grpc.reflection.v1` and `v1alpha`: tells clients the API, from the descriptors
 * that are in the generated code.
 */
export class ReflectionHandlers {
  readonly #services: readonly string[];
  readonly #draining: AbortSignal;
  readonly #files = new Map<string, DescFile>();
  readonly #symbols = new Map<string, DescFile>();

  /** @param draining ends streams, which clients would leave open for ever */
  constructor(services: readonly DescService[], draining: AbortSignal) {
    this.#draining = draining;
    this.#services = services.map(({ typeName }) => typeName).toSorted();
    for (const { file } of services) this.#add(file);
    // No service refers to the details of errors: clients look them up to show them.
    this.#add(file_google_rpc_error_details);
  }

  async *serverReflectionInfo<Request extends ReflectionRequest>(
    requests: AsyncIterable<Request>,
  ): AsyncGenerator<ReflectionResponse<Request>> {
    for await (const request of untilAborted(requests, this.#draining)) {
      yield {
        validHost: request.host,
        originalRequest: request,
        messageResponse: this.#answer(request.messageRequest),
      };
    }
  }

  #answer(request: ReflectionRequest["messageRequest"]): Answer {
    switch (request.case) {
      case "fileByFilename":
        return this.#fileAnswer(this.#files.get(request.value), request.value);
      case "fileContainingSymbol":
        return this.#fileAnswer(this.#findSymbol(request.value), request.value);
      case "fileContainingExtension":
        return error(NOT_FOUND, `No extensions of "${request.value.containingType}" here`);
      case "allExtensionNumbersOfType":
        return this.#extensionsAnswer(request.value);
      case "listServices":
        return {
          case: "listServicesResponse",
          value: { service: this.#services.map((name) => ({ name })) },
        };
      default:
        return error(INVALID_ARGUMENT, "The request asks for nothing this server knows");
    }
  }

  /** The file and what it imports, so that a client needs one question: dependencies last. */
  #fileAnswer(file: DescFile | undefined, asked: string): Answer {
    if (file === undefined) return error(NOT_FOUND, `No file or symbol "${asked}" here`);
    const files = withImports(file);
    return {
      case: "fileDescriptorResponse",
      value: {
        fileDescriptorProto: files.map(({ proto }) => toBinary(FileDescriptorProtoSchema, proto)),
      },
    };
  }

  #extensionsAnswer(typeName: string): Answer {
    if (this.#findSymbol(typeName) === undefined) return error(NOT_FOUND, `No "${typeName}" here`);
    return {
      case: "allExtensionNumbersResponse",
      value: { baseTypeName: typeName, extensionNumber: [] },
    };
  }

  #findSymbol(name: string): DescFile | undefined {
    return this.#symbols.get(name.replace(/^\./, ""));
  }

  #add(file: DescFile): void {
    const name = file.proto.name;
    if (this.#files.has(name)) return;
    this.#files.set(name, file);
    for (const symbol of symbolsOf(file)) this.#symbols.set(symbol, file);
    for (const imported of file.dependencies) this.#add(imported);
  }
}

function error(errorCode: number, errorMessage: string): Answer {
  return { case: "errorResponse", value: { errorCode, errorMessage } };
}

function withImports(file: DescFile, found = new Set<DescFile>()): DescFile[] {
  if (!found.has(file)) {
    found.add(file);
    for (const imported of file.dependencies) withImports(imported, found);
  }
  return [...found];
}

/** Full names of all that a file declares: services, methods, messages, fields, enums and their values. */
function* symbolsOf(file: DescFile): Generator<string> {
  for (const service of file.services) {
    yield service.typeName;
    for (const method of service.methods) yield `${service.typeName}.${method.name}`;
  }
  for (const declared of file.enums) yield* symbolsOfEnum(declared);
  for (const message of file.messages) yield* symbolsOfMessage(message);
}

type DescMessageLike = DescFile["messages"][number];

function* symbolsOfMessage(message: DescMessageLike): Generator<string> {
  yield message.typeName;
  for (const field of message.fields) yield `${message.typeName}.${field.name}`;
  for (const oneof of message.oneofs) yield `${message.typeName}.${oneof.name}`;
  for (const declared of message.nestedEnums) yield* symbolsOfEnum(declared);
  for (const nested of message.nestedMessages) yield* symbolsOfMessage(nested);
}

/** Values of an enum stand beside it, as in C++. */
function* symbolsOfEnum(declared: DescFile["enums"][number]): Generator<string> {
  yield declared.typeName;
  const scope = declared.typeName.slice(0, declared.typeName.lastIndexOf(".") + 1);
  for (const value of declared.values) yield `${scope}${value.name}`;
}
