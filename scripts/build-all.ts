/**
 * Cross-compiles every target into `dist/release/`, one archive each, and
 * `SHA256SUMS`. The runtimes are the ones npm publishes, of the version in
 * package.json, so that nothing but the npm registry is needed.
 *
 *   node scripts/build-all.ts                    all targets
 *   node scripts/build-all.ts linux darwin       targets whose triple contains a word
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { zipSync } from "fflate";
import { create, extract } from "tar";
import { BUN_VERSION, compile, TARGETS, type Target, VERSION } from "./lib-build.ts";

const CACHE = "dist/runtimes";
const OUT = "dist/release";
const SHELLS = ["bash", "zsh", "fish"] as const;
const DOCUMENTS = ["LICENSE", "NOTICE", "README.md"] as const;
/** One time for all files of an archive, so that the same sources give the same bytes. */
const FILE_TIME = new Date("2026-01-01T00:00:00Z");

/** Gets the runtime of a target from npm, once. @returns the path of its executable. */
async function fetchRuntime(target: Target): Promise<string> {
  const dir = join(CACHE, `${target.bunTarget}-${BUN_VERSION}`);
  const executable = join(dir, "bin", target.archive === "zip" ? "bun.exe" : "bun");
  if (existsSync(executable)) return executable;
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir, { recursive: true });
  const packed = execFileSync(
    "npm",
    ["pack", "--silent", `--pack-destination=${dir}`, `${target.runtimePackage}@${BUN_VERSION}`],
    { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] },
  ).trim();
  await extract({ file: join(dir, packed), cwd: dir, strip: 1 });
  rmSync(join(dir, packed));
  return executable;
}

/** What lies beside the executable in every archive. */
function writeCompanions(dir: string): void {
  for (const name of DOCUMENTS) copyFileSync(name, join(dir, name));
  mkdirSync(join(dir, "completions"));
  for (const shell of SHELLS) {
    const text = execFileSync("bun", ["src/main.ts", "completion", shell], { encoding: "utf8" });
    writeFileSync(join(dir, "completions", `proglog.${shell}`), text);
  }
  mkdirSync(join(dir, "examples"));
  copyFileSync("deploy/systemd/proglog.service", join(dir, "examples/proglog.service"));
  copyFileSync("deploy/proglog.toml", join(dir, "examples/proglog.toml"));
}

async function pack(target: Target, name: string): Promise<string> {
  const archive = `${name}.${target.archive}`;
  if (target.archive === "tar.gz") {
    await create(
      { file: join(OUT, archive), cwd: OUT, gzip: true, portable: true, mtime: FILE_TIME },
      [name],
    );
    return archive;
  }
  const entries: Record<string, Uint8Array> = {};
  const files = readdirSync(join(OUT, name), { recursive: true, withFileTypes: true });
  for (const file of files.filter((entry) => entry.isFile())) {
    const path = join(file.parentPath, file.name);
    entries[path.slice(OUT.length + 1).replaceAll("\\", "/")] = readFileSync(path);
  }
  writeFileSync(join(OUT, archive), zipSync(entries, { mtime: FILE_TIME }));
  return archive;
}

async function release(target: Target): Promise<string> {
  const name = `proglog-${VERSION}-${target.triple}`;
  const dir = join(OUT, name);
  mkdirSync(dir, { recursive: true });
  const runtime = await fetchRuntime(target);
  const outfile = join(dir, target.archive === "zip" ? "proglog.exe" : "proglog");
  compile({ outfile, target: { bunTarget: target.bunTarget, runtime } });
  chmodSync(outfile, 0o755);
  writeCompanions(dir);
  const archive = await pack(target, name);
  rmSync(dir, { recursive: true });
  return archive;
}

const words = process.argv.slice(2);
const chosen = TARGETS.filter(
  ({ triple }) => words.length === 0 || words.some((word) => triple.includes(word)),
);
rmSync(OUT, { recursive: true, force: true });
mkdirSync(OUT, { recursive: true });
const sums: string[] = [];
for (const target of chosen) {
  const archive = await release(target);
  const sum = createHash("sha256")
    .update(readFileSync(join(OUT, archive)))
    .digest("hex");
  sums.push(`${sum}  ${archive}\n`);
  process.stdout.write(`${sum}  ${archive}\n`);
}
writeFileSync(join(OUT, "SHA256SUMS"), sums.join(""));
