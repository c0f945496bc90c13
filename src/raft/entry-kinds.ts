import { viewOf } from "../base/bytes.ts";
import {
  CORE_ENTRY_CONF_CHANGE,
  CORE_ENTRY_CONF_CHANGE_V2,
  CORE_ENTRY_NORMAL,
  type CoreEntry,
} from "./core.ts";
import { ENTRY_COMMAND } from "./voter.ts";

/** Kinds of entries in the journal, beside {@link ENTRY_COMMAND}. */
export const ENTRY_NO_OP = 1;
export const ENTRY_CONF_CHANGE = 2;
export const ENTRY_CONF_CHANGE_V2 = 3;

export const ENTRY_KIND_MAX = ENTRY_CONF_CHANGE_V2;

/** First byte of a descriptor; the low four bits are its version. */
const DESCRIPTOR_MARK = 0xc0;
const DESCRIPTOR_BYTES = 5;

const NO_DATA = new Uint8Array(0);

/**
 * What the core holds of a command in place of its payload, so that it follows from what the
 * journal keeps in memory: mark u8, length of the payload u32 LE.
 */
export function describePayload(payloadBytes: number): Uint8Array {
  const data = new Uint8Array(DESCRIPTOR_BYTES);
  data[0] = DESCRIPTOR_MARK;
  // Once for each command: a view would cost more than all of this.
  data[1] = payloadBytes & 0xff;
  data[2] = (payloadBytes >>> 8) & 0xff;
  data[3] = (payloadBytes >>> 16) & 0xff;
  data[4] = payloadBytes >>> 24;
  return data;
}

/** @returns undefined when it is no descriptor: an entry without a payload */
export function describedBytes(type: number, data: Uint8Array): number | undefined {
  if (type !== CORE_ENTRY_NORMAL || data.length !== DESCRIPTOR_BYTES) return undefined;
  return data[0] === DESCRIPTOR_MARK ? viewOf(data).getUint32(1, true) : undefined;
}

export function isConfChange(kind: number): boolean {
  return kind === ENTRY_CONF_CHANGE || kind === ENTRY_CONF_CHANGE_V2;
}

/** @returns undefined for what this program does not know */
export function kindOf({ type, data }: CoreEntry): number | undefined {
  if (type === CORE_ENTRY_CONF_CHANGE) return ENTRY_CONF_CHANGE;
  if (type === CORE_ENTRY_CONF_CHANGE_V2) return ENTRY_CONF_CHANGE_V2;
  if (data.length === 0) return ENTRY_NO_OP;
  return describedBytes(type, data) === undefined ? undefined : ENTRY_COMMAND;
}

/** The core's type of a kind. */
export function coreTypeOf(kind: number): number {
  if (kind === ENTRY_CONF_CHANGE) return CORE_ENTRY_CONF_CHANGE;
  return kind === ENTRY_CONF_CHANGE_V2 ? CORE_ENTRY_CONF_CHANGE_V2 : CORE_ENTRY_NORMAL;
}

/** The core's data of an entry that changes no membership. */
export function coreDataOf(kind: number, payloadBytes: number): Uint8Array {
  return kind === ENTRY_COMMAND ? describePayload(payloadBytes) : NO_DATA;
}
