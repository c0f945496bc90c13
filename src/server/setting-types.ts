import { GIB, KIB, MIB } from "../base/units.ts";

/** How the values of a setting or flag are written. */
export interface SettingType<T> {
  /** Stands for a value in help: `SIZE`. Undefined for a switch, whose flag takes no value. */
  readonly placeholder: string | undefined;
  /** What values there are, for the documents: `1KiB to 1GiB`. */
  readonly range: string | undefined;
  /** All values there are, when they are few: shell completion offers them. */
  readonly choices: readonly string[] | undefined;
  /** @throws {RangeError} whose message says what is wrong and what to write: `"x" is not ..., write ...`. */
  parse(text: string): T;
  /** The shortest text that parses to `value`. */
  print(value: T): string;
}

const SIZE_UNITS = [
  ["GiB", GIB],
  ["MiB", MIB],
  ["KiB", KIB],
] as const;

const DURATION_UNITS = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1_000],
  ["ms", 1],
] as const;

/** Accepts `1048576`, `64MiB` and `1GiB`; refuses `64MB`, which people read in two ways. Bytes. */
export function size(limits: { min: number; max: number }): SettingType<number> {
  return {
    placeholder: "SIZE",
    range: `${printSize(limits.min)} to ${printSize(limits.max)}`,
    choices: undefined,
    parse(text) {
      const found = /^(\d+)(KiB|MiB|GiB)?$/.exec(text);
      if (found === null) {
        throw new RangeError(`"${text}" is not a size, write 1048576, 64MiB or 1GiB`);
      }
      const unit = SIZE_UNITS.find(([name]) => name === found[2])?.[1] ?? 1;
      return inRange(Number(found[1]) * unit, text, limits, printSize);
    },
    print: printSize,
  };
}

/** Accepts `500ms`, `30s`, `5m`, `1h`, `7d` and `0`. Milliseconds. */
export function duration(limits: { min: number; max: number }): SettingType<number> {
  return {
    placeholder: "DURATION",
    range: `${printDuration(limits.min)} to ${printDuration(limits.max)}`,
    choices: undefined,
    parse(text) {
      const found = /^(\d+)(ms|s|m|h|d)$/.exec(text);
      if (found === null && text !== "0") {
        throw new RangeError(`"${text}" is not a duration, write 500ms, 30s, 5m, 1h or 7d`);
      }
      const unit = DURATION_UNITS.find(([name]) => name === found?.[2])?.[1] ?? 1;
      return inRange(Number(found?.[1] ?? 0) * unit, text, limits, printDuration);
    },
    print: printDuration,
  };
}

/** As `type`, and 0 too, which means off. */
export function orZero(type: SettingType<number>): SettingType<number> {
  return {
    ...type,
    range: type.range === undefined ? undefined : `0 or ${type.range}`,
    parse(text) {
      if (/^0(ms|s|m|h|d|KiB|MiB|GiB)?$/.test(text)) return 0;
      try {
        return type.parse(text);
      } catch (cause) {
        if (!(cause instanceof RangeError) || type.range === undefined) throw cause;
        throw new RangeError(cause.message.replace(type.range, `0 or ${type.range}`), { cause });
      }
    },
  };
}

/** A whole number. */
export function integer(limits: { min: number; max: number }): SettingType<number> {
  return {
    placeholder: "N",
    range: `${limits.min} to ${limits.max}`,
    choices: undefined,
    parse(text) {
      if (!/^\d+$/.test(text)) {
        throw new RangeError(
          `"${text}" is not a whole number, write ${limits.min} to ${limits.max}`,
        );
      }
      return inRange(Number(text), text, limits, String);
    },
    print: String,
  };
}

/** One of a few words. */
export function choice<const C extends readonly string[]>(...choices: C): SettingType<C[number]> {
  return {
    placeholder: choices.join("|"),
    range: undefined,
    choices,
    parse(text) {
      const found = choices.find((word) => word === text);
      if (found === undefined) {
        throw new RangeError(`"${text}" is not known, write ${choices.join(" or ")}`);
      }
      return found;
    },
    print: String,
  };
}

const ON = ["on", "true", "yes", "1"];
const OFF = ["off", "false", "no", "0"];

/** `on` or `off`; `true` and `false` too. */
export function onOff(): SettingType<boolean> {
  return {
    placeholder: "on|off",
    range: undefined,
    choices: ["on", "off"],
    parse(text) {
      if (ON.includes(text)) return true;
      if (OFF.includes(text)) return false;
      throw new RangeError(`"${text}" is not a switch, write on or off`);
    },
    print: (value) => (value ? "on" : "off"),
  };
}

/** As {@link onOff}, but the flag takes no value: naming it means `on`. */
export function toggle(): SettingType<boolean> {
  return { ...onOff(), placeholder: undefined };
}

/** Any text; empty means that it is not set. */
export function text(placeholder: string): SettingType<string> {
  return {
    placeholder,
    range: undefined,
    choices: undefined,
    parse: (value) => value,
    print: (value) => value,
  };
}

/** A short name of letters, digits and `._-`; empty means that it is not set. */
export function label(placeholder: string): SettingType<string> {
  return {
    ...text(placeholder),
    parse(value) {
      if (/^(?:[A-Za-z0-9][A-Za-z0-9._-]{0,63})?$/.test(value)) return value;
      throw new RangeError(`"${value}" is not a name, write up to 64 of A-Z a-z 0-9 . _ -`);
    },
  };
}

/** A path; it cannot be empty. */
export function path(placeholder: string): SettingType<string> {
  return {
    ...text(placeholder),
    parse(value) {
      if (value === "") throw new RangeError('"" is not a path, write ./data or /var/lib/proglog');
      return value;
    },
  };
}

/** A scheme of web pages, a host and maybe a port; nothing else, also no name and no wildcard. */
const ORIGIN = /^https?:\/\/(?:[^\s/?#@\\:*[\]]+|\[[0-9a-f:.]+\])(?::\d+)?$/i;

/** Origins of web pages with commas between them: `https://example.com`, `http://localhost:5173`, `*`. */
export function origins(): SettingType<readonly string[]> {
  return {
    placeholder: "ORIGIN,...",
    range: undefined,
    choices: undefined,
    parse(value) {
      const items = value.split(",").map((item) => item.trim());
      const found = items.filter((item) => item !== "");
      const bad = found.find((item) => item !== "*" && !(ORIGIN.test(item) && URL.canParse(item)));
      if (bad === undefined) return found;
      throw new RangeError(
        `"${bad}" is not an origin, write https://example.com, http://localhost:5173 or *`,
      );
    },
    print: (value) => value.join(","),
  };
}

/** Where to listen: `host` without brackets. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** `HOST:PORT`, an IPv6 address in brackets. Port 0 means any free one. */
export function hostPort(): SettingType<HostPort> {
  return {
    placeholder: "HOST:PORT",
    range: undefined,
    choices: undefined,
    parse(value) {
      const found = /^(?:\[([0-9a-fA-F:.%]+)\]|([^:[\]/\s]+)):(\d{1,5})$/.exec(value);
      const host = found?.[1] ?? found?.[2];
      const port = Number(found?.[3]);
      if (host === undefined || port > 65_535) {
        throw new RangeError(
          `"${value}" is not an address, write 127.0.0.1:8400, localhost:0 or [::1]:8400`,
        );
      }
      return { host, port };
    },
    print: printHostPort,
  };
}

/** As {@link hostPort}, for an address that others dial: with a port; empty means that it is not set. */
export function dialled(): SettingType<HostPort | undefined> {
  const type = hostPort();
  return {
    ...type,
    parse(value) {
      if (value === "") return undefined;
      const found = type.parse(value);
      if (found.port !== 0 && !isWildcard(found.host)) return found;
      throw new RangeError(
        `"${value}" leads nowhere, write an address that others can reach: 10.0.0.7:8400`,
      );
    },
    print: (value) => (value === undefined ? "" : printHostPort(value)),
  };
}

/** True for the addresses that mean all of this machine's: one listens on them, nobody can call them. */
export function isWildcard(host: string): boolean {
  return host === "0" || host === "0.0.0.0" || /^[0:]*::[0:]*$|^(0+:){7}0+$/.test(host);
}

/** The text that {@link hostPort} parses: brackets around an IPv6 address. */
export function printHostPort({ host, port }: HostPort): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** `67108864` becomes `64MiB`; what is no whole number of a unit stays in bytes. */
export function printSize(bytes: number): string {
  if (bytes === 0) return "0";
  const unit = SIZE_UNITS.find(([, factor]) => bytes % factor === 0);
  return unit === undefined ? String(bytes) : `${bytes / unit[1]}${unit[0]}`;
}

/** `90000` becomes `90s`: the largest unit of which it is a whole number. */
export function printDuration(ms: number): string {
  if (ms === 0) return "0";
  const unit = DURATION_UNITS.find(([, factor]) => ms % factor === 0);
  return unit === undefined ? `${ms}ms` : `${ms / unit[1]}${unit[0]}`;
}

function inRange(
  value: number,
  text: string,
  limits: { min: number; max: number },
  print: (value: number) => string,
): number {
  if (Number.isSafeInteger(value) && value >= limits.min && value <= limits.max) return value;
  const span = `${print(limits.min)} to ${print(limits.max)}`;
  throw new RangeError(`"${text}" is out of range, write ${span}`);
}
