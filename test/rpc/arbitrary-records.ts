import { create, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { RecordSchema } from "../../src/gen/proglog/v1/record_pb.ts";

/** Any bytes, up to so many. */
export const bytes = (maxLength: number) => fc.uint8Array({ maxLength });

/** Encoded records that are valid. */
export const records = fc
  .record({
    key: bytes(10),
    value: bytes(300),
    headers: fc.array(
      fc.record({ name: fc.string({ unit: "grapheme", maxLength: 12 }), value: bytes(200) }),
      { maxLength: 4 },
    ),
    clientTimeUnixUs: fc.option(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), {
      nil: undefined,
    }),
  })
  .filter(({ headers }) => headers.every(({ name }) => !name.startsWith("proglog-")))
  .map((record) => toBinary(RecordSchema, create(RecordSchema, record)));

/** Changes a few bytes, cuts some out, or puts some in: mostly broken, but not hopelessly so. */
export function damage(source: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> {
  const change = fc.record({
    kind: fc.constantFrom("set", "flip", "cut", "insert", "cut-end"),
    at: fc.nat(400),
    byte: fc.nat(255),
  });
  return fc.tuple(source, fc.array(change, { minLength: 1, maxLength: 3 })).map(([bytes, all]) => {
    let result: number[] = [...bytes];
    for (const { kind, at, byte } of all) {
      const place = result.length === 0 ? 0 : at % result.length;
      if (kind === "set") result[place] = byte;
      else if (kind === "flip") result[place] = (result[place] ?? 0) ^ (1 << (byte % 8));
      else if (kind === "cut") result.splice(place, 1 + (byte % 3));
      else if (kind === "insert") result.splice(place, 0, byte);
      else result = result.slice(0, place);
    }
    return Uint8Array.from(result);
  });
}
