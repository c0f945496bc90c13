import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from "node:fs";
import { join, resolve } from "node:path";

const SOURCES = "src/raft/wasm";
const CACHE = "dist/raft-interaction";
const RAFT_MODULE = "go.etcd.io/raft/v3";
const SECONDS_MAX = 240;

/** etcd's scripts, and the core built with what they need beside the product's exports. */
export interface InteractionModule {
  readonly module: WebAssembly.Module;
  readonly scripts: readonly { readonly name: string; readonly text: string }[];
}

/**
 * The scripts are etcd's and lie in Go's module cache; the module is built out of the product's
 * sources once, with a tag, and kept.
 *
 * @returns why it is not to be had where there is no Go
 */
export function loadInteraction(): InteractionModule | string {
  const version = spawnSync("go", ["env", "GOVERSION"], { encoding: "utf8" });
  if (version.status !== 0) return "there is no Go";
  const dir = moduleDir();
  if (dir === undefined) return `Go cannot get ${RAFT_MODULE}`;
  const testdata = join(dir, "testdata");
  const names = readdirSync(testdata).filter((name) => name.endsWith(".txt"));
  const scripts = names.map((name) => ({ name, text: readFileSync(join(testdata, name), "utf8") }));
  const bytes = readFileSync(build(version.stdout.trim()));
  return { module: new WebAssembly.Module(bytes), scripts };
}

/** Gets all modules that are needed. @returns where the library is; undefined when one cannot be had */
function moduleDir(): string | undefined {
  const required = readFileSync(join(SOURCES, "go.mod"), "utf8").matchAll(/^\t(\S+) (v\S+)$/gm);
  const wanted = [...required].map(([, path, version]) => `${path}@${version}`);
  const options = { encoding: "utf8", timeout: SECONDS_MAX * 1000 } as const;
  const { status, stdout } = spawnSync("go", ["mod", "download", "-json", ...wanted], options);
  if (status !== 0) return undefined;
  const found = JSON.parse(`[${stdout.replaceAll("}\n{", "},{")}]`) as readonly {
    readonly Path: string;
    readonly Dir: string;
  }[];
  return found.find(({ Path }) => Path === RAFT_MODULE)?.Dir;
}

function build(version: string): string {
  const hash = createHash("sha256").update(version);
  for (const name of readdirSync(SOURCES).sort()) {
    if (/\.go$|^go\./.test(name)) hash.update(name).update(readFileSync(join(SOURCES, name)));
  }
  const file = resolve(CACHE, `${hash.digest("hex").slice(0, 16)}.wasm`);
  if (existsSync(file)) return file;
  mkdirSync(CACHE, { recursive: true });
  const made = `${file}.${process.pid}`;
  execFileSync(
    "go",
    ["build", "-tags=interaction", "-trimpath", "-buildvcs=false", "-ldflags=-s -w"].concat([
      "-buildmode=c-shared",
      `-o=${made}`,
      ".",
    ]),
    {
      cwd: SOURCES,
      env: { ...process.env, GOOS: "wasip1", GOARCH: "wasm", GOFLAGS: "-mod=readonly" },
      timeout: SECONDS_MAX * 1000,
    },
  );
  renameSync(made, file);
  return file;
}
