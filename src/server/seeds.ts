import { type HostPort, hostPort, printHostPort, type SettingType } from "./setting-types.ts";

/** Servers to ask, and records of the DNS that name such. More would be a mistake in a file. */
const SEEDS_MAX = 64;

/** Names of SRV records: `_service._protocol.domain`. */
const SRV_NAME = /^_[a-z0-9-]{1,62}\._[a-z0-9-]{1,62}(?:\.[a-z0-9_-]{1,63})+$/i;
const SRV_NAME_LENGTH_MAX = 253;

const SRV_PREFIX = "srv:";

/** A server to ask for the cluster, or where to find such. Names are resolved at every dial. */
export type Seed =
  | ({ readonly kind: "address" } & HostPort)
  /** SRV records of this name say where the servers are. */
  | { readonly kind: "srv"; readonly name: string };

/** Seeds with commas between them: `10.0.0.7:8400`, `a.example.com:8400`, `srv:_proglog._tcp.example.com`. */
export function seeds(): SettingType<readonly Seed[]> {
  return {
    placeholder: "HOST:PORT,...",
    range: undefined,
    choices: undefined,
    parse(value) {
      const items = value.split(",").map((item) => item.trim());
      const found = items.filter((item) => item !== "").map(parseSeed);
      const texts = found.map((seed) => printSeed(seed).toLowerCase());
      const twice = texts.find((text, place) => texts.indexOf(text) !== place);
      if (twice !== undefined) throw new RangeError(`"${twice}" is named twice, write it once`);
      if (found.length <= SEEDS_MAX) return found;
      throw new RangeError(`${found.length} servers are named, write ${SEEDS_MAX} at most`);
    },
    print: (value) => value.map(printSeed).join(","),
  };
}

/** How many servers found a cluster together: 1, 3, 5 or 7; empty, or 0: they do not. */
export function foundingCount(): SettingType<number> {
  const choices = ["1", "3", "5", "7"];
  return {
    placeholder: choices.join("|"),
    range: undefined,
    choices,
    parse(value) {
      if (value === "" || value === "0") return 0;
      if (choices.includes(value)) return Number(value);
      throw new RangeError(`"${value}" is no number of voters, write 1, 3, 5 or 7`);
    },
    print: (value) => (value === 0 ? "" : String(value)),
  };
}

/** The text that {@link seeds} parses to `seed`. */
export function printSeed(seed: Seed): string {
  return seed.kind === "srv" ? `${SRV_PREFIX}${seed.name}` : printHostPort(seed);
}

function parseSeed(item: string): Seed {
  if (item.startsWith(SRV_PREFIX)) {
    const name = item.slice(SRV_PREFIX.length);
    if (name.length <= SRV_NAME_LENGTH_MAX && SRV_NAME.test(name)) return { kind: "srv", name };
    throw new RangeError(`"${item}" is not an SRV name, write srv:_proglog._tcp.example.com`);
  }
  const { host, port } = hostPort().parse(item);
  if (port !== 0) return { kind: "address", host, port };
  throw new RangeError(`"${item}" has no port, write HOST:8400`);
}
