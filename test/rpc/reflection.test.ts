import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { createClient } from "@connectrpc/connect";
import * as grpc from "@grpc/grpc-js";
import { loadFileDescriptorSetFromBuffer } from "@grpc/proto-loader";
import { ServerReflection } from "../../src/gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ServerReflectionAlpha } from "../../src/gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { clientsOf, failsWith, GRPC, startApi, text } from "./api.ts";

type Question =
  Parameters<ReturnType<typeof v1Client>["serverReflectionInfo"]>[0] extends AsyncIterable<
    infer Request
  >
    ? Request
    : never;

function v1Client(port: number) {
  return createClient(ServerReflection, GRPC.open(port));
}

/** Asks in one stream, and gives the answers. */
async function ask(port: number, ...questions: Question[]) {
  async function* requests() {
    yield* questions;
  }
  const answers = [];
  for await (const answer of v1Client(port).serverReflectionInfo(requests())) {
    answers.push(answer.messageResponse);
  }
  return answers;
}

const symbol = (value: string) => ({
  messageRequest: { case: "fileContainingSymbol", value } as const,
});
const file = (value: string) => ({ messageRequest: { case: "fileByFilename", value } as const });

const SERVICES = [
  "grpc.health.v1.Health",
  "grpc.reflection.v1.ServerReflection",
  "grpc.reflection.v1alpha.ServerReflection",
  "log.v1.Log",
  "proglog.v1.ClusterService",
  "proglog.v1.LogService",
  "proglog.v1.TopicService",
];

test("reflection lists every service, in both versions", async (t) => {
  const { port } = await startApi(t);
  const list = { messageRequest: { case: "listServices", value: "" } as const };
  const [answer] = await ask(port, list);
  assert.equal(answer?.case, "listServicesResponse");
  const names = answer?.case === "listServicesResponse" ? answer.value.service : [];
  assert.deepEqual(
    names.map(({ name }) => name),
    SERVICES,
  );
  const alpha = createClient(ServerReflectionAlpha, GRPC.open(port));
  async function* requests() {
    yield list;
  }
  for await (const { messageResponse } of alpha.serverReflectionInfo(requests())) {
    assert.equal(messageResponse.case, "listServicesResponse");
  }
});

test("a file comes with what it imports, by its name or by what it declares", async (t) => {
  const { port } = await startApi(t);
  const questions = [
    file("proglog/v1/log_service.proto"),
    symbol("proglog.v1.LogService"),
    symbol("proglog.v1.LogService.Produce"),
    symbol("proglog.v1.ProduceRequest.topic"),
    symbol(".proglog.v1.ProduceRequest"),
  ];
  for (const answer of await ask(port, ...questions)) {
    assert.equal(answer.case, "fileDescriptorResponse");
    if (answer.case !== "fileDescriptorResponse") continue;
    const files = answer.value.fileDescriptorProto.map((bytes) =>
      fromBinary(FileDescriptorProtoSchema, bytes),
    );
    assert.equal(files[0]?.name, "proglog/v1/log_service.proto");
    const names = new Set(files.map(({ name }) => name));
    for (const { dependency } of files)
      for (const name of dependency) assert.ok(names.has(name), name);
    // The public contract, not the twin that binary calls go by.
    const produce = files[0]?.messageType.find(({ name }) => name === "ProduceRequest");
    const records = produce?.field.find(({ name }) => name === "records");
    assert.equal(records?.typeName, ".proglog.v1.Record");
  }
  const [oneof, value] = await ask(
    port,
    symbol("proglog.v1.ConsumeRequest.start"),
    symbol("proglog.v1.DURABILITY_SYNCED_ONE"),
  );
  assert.deepEqual([oneof?.case, value?.case], Array(2).fill("fileDescriptorResponse"));
});

test("what is not here is answered, and the stream goes on", async (t) => {
  const { port } = await startApi(t);
  const extension = { containingType: "proglog.v1.Record", extensionNumber: 1 };
  const answers = await ask(
    port,
    symbol("no.such.Thing"),
    file("no/such.proto"),
    { messageRequest: { case: "fileContainingExtension", value: extension } },
    { messageRequest: { case: "allExtensionNumbersOfType", value: "no.such.Thing" } },
    { messageRequest: { case: "allExtensionNumbersOfType", value: "proglog.v1.Record" } },
    {},
    symbol("log.v1.Log"),
  );
  assert.deepEqual(
    answers.map((answer) =>
      answer.case === "errorResponse" ? answer.value.errorCode : answer.case,
    ),
    [5, 5, 5, 5, "allExtensionNumbersResponse", 3, "fileDescriptorResponse"],
  );
});

test("reflection can be switched off", async (t) => {
  const { port } = await startApi(t, { reflection: false });
  await failsWith(ask(port, symbol("log.v1.Log")), "UNIMPLEMENTED");
});

test("a client that has no proto files can call what reflection told it", async (t) => {
  const { port } = await startApi(t);
  const { log } = clientsOf(port);
  await log.produce({ topic: "default", records: [{ value: text("hello") }] });
  const [answer] = await ask(port, symbol("proglog.v1.LogService"));
  assert.equal(answer?.case, "fileDescriptorResponse");
  const bytes = answer?.case === "fileDescriptorResponse" ? answer.value.fileDescriptorProto : [];
  const set = create(FileDescriptorSetSchema, {
    file: bytes.map((one) => fromBinary(FileDescriptorProtoSchema, one)),
  });
  const definition = loadFileDescriptorSetFromBuffer(
    Buffer.from(toBinary(FileDescriptorSetSchema, set)),
    { longs: String },
  );
  const described = definition["proglog.v1.LogService"];
  assert.ok(described !== undefined);
  const Service = grpc.makeGenericClientConstructor(
    described as unknown as grpc.ServiceDefinition,
    "LogService",
  );
  const client = new Service(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
  t.after(() => client.close());
  const found = await new Promise<{ records: { record: { value: Buffer } }[] }>(
    (resolve, reject) => {
      client["Consume"]?.({ topic: "default" }, (error: unknown, response: never) =>
        error === null || error === undefined ? resolve(response) : reject(error),
      );
    },
  );
  assert.equal(found.records[0]?.record.value.toString(), "hello");
});
