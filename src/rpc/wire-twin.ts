import { clone, createFileRegistry, type DescService, type FileRegistry } from "@bufbuild/protobuf";
import {
  type DescriptorProto,
  FieldDescriptorProto_Type,
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
} from "@bufbuild/protobuf/wkt";
import { assert } from "../base/assert.ts";
import { file_proglog_v1_log_service, LogService } from "../gen/proglog/v1/log_service_pb.ts";

/**
 * Fields whose messages binary calls pass through as bytes. `bytes` and a message
 * are the same on the wire: tag, length, content.
 */
const PASSED_THROUGH: readonly (readonly [string, string])[] = [
  ["ProduceRequest", "records"],
  ["ConsumeResponse", "records"],
  ["ConsumeStreamResponse", "records"],
];

/**
 * LogService as binary calls see it: with `bytes` for every record, so that
 * Connect's own code hands us the client's bytes unchanged, and sends ours. Paths,
 * field numbers and everything else are those of the public service.
 */
export const WireLogService: DescService = makeTwin();

function makeTwin(): DescService {
  const file = clone(FileDescriptorProtoSchema, file_proglog_v1_log_service.proto);
  for (const [message, field] of PASSED_THROUGH) makeBytes(file, message, field);
  const service = registryOf(file).getService(LogService.typeName);
  assert(service !== undefined, `No ${LogService.typeName} in its own file`);
  return service;
}

function registryOf(file: FileDescriptorProto): FileRegistry {
  const imports = new Map(
    file_proglog_v1_log_service.dependencies.map((imported) => [imported.proto.name, imported]),
  );
  return createFileRegistry(file, (name) => imports.get(name));
}

function makeBytes(file: FileDescriptorProto, messageName: string, fieldName: string): void {
  const named = (message: DescriptorProto) => message.name === messageName;
  const field = file.messageType.find(named)?.field.find(({ name }) => name === fieldName);
  assert(field !== undefined, `No field ${messageName}.${fieldName}`);
  field.type = FieldDescriptorProto_Type.BYTES;
  field.typeName = "";
}
