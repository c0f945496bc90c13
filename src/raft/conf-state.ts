import { ByteReader, ByteWriter, MalformedBytesError } from "../base/bytes.ts";
import type { ConfState } from "./core.ts";

const VERSION = 1;

/** Replicas of one list: more than any group can have. */
const REPLICAS_MAX = 10_000;

/**
 * A membership as a checkpoint holds it: `[version u8 = 1][auto leave u8]`, then the voters, the learners,
 * the outgoing voters and the next learners, each `[count varint][replica id varint]...`.
 */
export function encodeConfState(conf: ConfState): Uint8Array {
  const writer = new ByteWriter().u8(VERSION).u8(conf.autoLeave ? 1 : 0);
  for (const ids of [conf.voters, conf.learners, conf.votersOutgoing, conf.learnersNext]) {
    writer.varint(ids.length);
    for (const id of ids) writer.varint(id);
  }
  return writer.finish();
}

/** Reads what {@link encodeConfState} wrote. @throws MalformedBytesError also for an unknown version */
export function decodeConfState(bytes: Uint8Array): ConfState {
  const reader = new ByteReader(bytes);
  const version = reader.u8();
  if (version !== VERSION) {
    throw new MalformedBytesError(`A membership has the unknown version ${version}`);
  }
  const autoLeave = reader.u8() === 1;
  const [voters, learners, votersOutgoing, learnersNext] = [
    readIds(reader),
    readIds(reader),
    readIds(reader),
    readIds(reader),
  ];
  if (reader.remaining > 0) {
    throw new MalformedBytesError(`A membership has ${reader.remaining} bytes too many`);
  }
  return { voters, learners, votersOutgoing, learnersNext, autoLeave };
}

function readIds(reader: ByteReader): readonly number[] {
  const count = reader.varint();
  if (count > REPLICAS_MAX) throw new MalformedBytesError(`A membership has ${count} replicas`);
  return Array.from({ length: count }, () => reader.varint());
}
