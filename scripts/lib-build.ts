import { execFileSync } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";

export interface Target {
  /** Name in the archive's file name: the triple that rustc and LLVM use. */
  readonly triple: string;
  /** `--target` of `bun build --compile`. */
  readonly bunTarget: string;
  /** npm package that carries the runtime for it. */
  readonly runtimePackage: string;
  readonly archive: "tar.gz" | "zip";
}

/** Every platform we publish for. Table of docs/releasing and of the README. */
export const TARGETS: readonly Target[] = [
  {
    triple: "x86_64-unknown-linux-gnu",
    bunTarget: "bun-linux-x64",
    runtimePackage: "@oven/bun-linux-x64",
    archive: "tar.gz",
  },
  {
    triple: "aarch64-unknown-linux-gnu",
    bunTarget: "bun-linux-arm64",
    runtimePackage: "@oven/bun-linux-aarch64",
    archive: "tar.gz",
  },
  {
    triple: "x86_64-unknown-linux-musl",
    bunTarget: "bun-linux-x64-musl",
    runtimePackage: "@oven/bun-linux-x64-musl",
    archive: "tar.gz",
  },
  {
    triple: "aarch64-unknown-linux-musl",
    bunTarget: "bun-linux-arm64-musl",
    runtimePackage: "@oven/bun-linux-aarch64-musl",
    archive: "tar.gz",
  },
  {
    triple: "x86_64-apple-darwin",
    bunTarget: "bun-darwin-x64",
    runtimePackage: "@oven/bun-darwin-x64",
    archive: "tar.gz",
  },
  {
    triple: "aarch64-apple-darwin",
    bunTarget: "bun-darwin-arm64",
    runtimePackage: "@oven/bun-darwin-aarch64",
    archive: "tar.gz",
  },
  {
    triple: "x86_64-pc-windows-msvc",
    bunTarget: "bun-windows-x64",
    runtimePackage: "@oven/bun-windows-x64",
    archive: "zip",
  },
  {
    triple: "aarch64-pc-windows-msvc",
    bunTarget: "bun-windows-arm64",
    runtimePackage: "@oven/bun-windows-aarch64",
    archive: "zip",
  },
];

interface PackageJson {
  readonly version: string;
  readonly devDependencies: Readonly<Record<string, string>>;
}

const PACKAGE = JSON.parse(readFileSync("package.json", "utf8")) as PackageJson;

export const VERSION = PACKAGE.version;

/** The runtimes that go into executables are of the version that the tests ran on. */
export const BUN_VERSION = PACKAGE.devDependencies["bun"] ?? "";

/** Short commit id, with "-dirty" when the tree differs from it; "unknown" outside a checkout. */
export function revision(): string {
  try {
    const git = (...args: string[]): string =>
      execFileSync("git", args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
    const dirty = git("status", "--porcelain", "--untracked-files=no") === "" ? "" : "-dirty";
    return `${git("rev-parse", "--short=12", "HEAD")}${dirty}`;
  } catch {
    return "unknown";
  }
}

/**
 * How an executable is built.
 *
 * The working directory of a server is not ours: without the two
 * `--no-compile-autoload` flags a `.env` or `bunfig.toml` lying there would
 * change what the program does. `--bytecode` halves the start-up time.
 */
export const BUILD_FLAGS: readonly string[] = [
  "--minify",
  "--keep-names",
  "--sourcemap",
  "--bytecode",
  "--no-compile-autoload-dotenv",
  "--no-compile-autoload-bunfig",
];

/** Compiles the executable. */
export function compile(options: {
  readonly outfile: string;
  readonly target?: { readonly bunTarget: string; readonly runtime: string };
}): void {
  const cross =
    options.target === undefined
      ? []
      : [
          `--target=${options.target.bunTarget}`,
          `--compile-executable-path=${options.target.runtime}`,
        ];
  execFileSync(
    "bun",
    [
      "build",
      "--compile",
      ...cross,
      ...BUILD_FLAGS,
      "--define",
      `PROGLOG_VERSION=${JSON.stringify(VERSION)}`,
      "--define",
      `PROGLOG_REVISION=${JSON.stringify(revision())}`,
      "src/main.ts",
      `--outfile=${options.outfile}`,
    ],
    { stdio: ["ignore", "ignore", "inherit"] },
  );
  // The map is inside the executable too, where stack traces find it.
  rmSync(`${options.outfile.replace(/\.exe$/, "")}.map`, { force: true });
}
