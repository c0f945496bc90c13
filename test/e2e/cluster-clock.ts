import { existsSync, writeFileSync } from "node:fs";

/** Where Debian's package `libfaketime` puts it. */
const LIBRARIES = ["x86_64", "aarch64"].map(
  (machine) => `/usr/lib/${machine}-linux-gnu/faketime/libfaketime.so.1`,
);

/** The clock of one server's day: it can be set while the server runs. Monotonic time stays true. */
export class FakeClock {
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
    this.shift(0);
  }

  /** Why there can be none here; undefined when there can. */
  static whyNot(): string | undefined {
    return LIBRARIES.some((path) => existsSync(path)) ? undefined : "needs libfaketime";
  }

  /** The environment of the server. */
  get env(): Readonly<Record<string, string>> {
    return {
      LD_PRELOAD: LIBRARIES.find((path) => existsSync(path)) ?? "",
      FAKETIME_TIMESTAMP_FILE: this.#file,
      FAKETIME_NO_CACHE: "1",
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
    };
  }

  /** From now on the clock is so many seconds fast. */
  shift(seconds: number): void {
    writeFileSync(this.#file, `${seconds < 0 ? "" : "+"}${seconds}s\n`);
  }
}
