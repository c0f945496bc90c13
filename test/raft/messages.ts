import { type CoreEntry, CoreMessageType, type CoreSnapshot } from "../../src/raft/core.ts";
import { CoreWriter } from "../../src/raft/core-codec.ts";

/** Of a message as core-messages.ts lays it out; what is left out is 0. */
export interface MessageFields {
  readonly type: number;
  readonly to?: number;
  readonly from?: number;
  readonly term?: number;
  readonly logTerm?: number;
  readonly index?: number;
  readonly commit?: number;
  readonly rejectHint?: number;
  readonly isReject?: boolean;
  readonly entries?: readonly Omit<CoreEntry, "index">[];
  readonly context?: Uint8Array;
  readonly snapshot?: CoreSnapshot;
}

/** Writes any message, also those that no core sends. */
export function makeMessage(fields: MessageFields): Uint8Array {
  const { context, snapshot } = fields;
  const flags =
    (fields.isReject === true ? 1 : 0) |
    (snapshot === undefined ? 0 : 2) |
    (context === undefined ? 0 : 4);
  const writer = new CoreWriter().u8(fields.type).u8(flags);
  writer
    .u64(fields.to ?? 0)
    .u64(fields.from ?? 0)
    .u64(fields.term ?? 0);
  writer.u64(fields.logTerm ?? 0).u64(fields.index ?? 0);
  writer.u64(fields.commit ?? 0).u64(fields.rejectHint ?? 0);
  writer.entries((fields.entries ?? []).map((entry) => ({ ...entry, index: 0 })));
  if (context !== undefined) writer.sized(context);
  if (snapshot !== undefined) writer.snapshot(snapshot);
  return writer.bytes.slice();
}

export function snapshotMessage(fields: {
  readonly from: number;
  readonly to: number;
  readonly term: number;
  readonly snapshot: CoreSnapshot;
}): Uint8Array {
  return makeMessage({ type: CoreMessageType.snapshot, ...fields });
}
