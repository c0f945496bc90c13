/**
 * Generates src/gen from the protos. `--check` generates into a temporary folder
 * and fails when src/gen differs, so that nobody serves an old contract.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const TARGET = "src/gen";

function filesOf(dir: string): Map<string, string> {
  const names = readdirSync(dir, { recursive: true }).map(String);
  const files = names.filter((name) => name.endsWith(".ts"));
  return new Map(files.sort().map((name) => [name, readFileSync(join(dir, name), "utf8")]));
}

function generate(out: string): void {
  const config = readFileSync("buf.gen.yaml", "utf8").replace(`out: ${TARGET}`, `out: ${out}`);
  const scratch = mkdtempSync("node_modules/.generate-");
  try {
    const file = join(scratch, "buf.gen.yaml");
    writeFileSync(file, config);
    execFileSync("buf", ["generate", "--template", file], { stdio: "inherit" });
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

if (process.argv.includes("--check")) {
  const out = mkdtempSync("node_modules/.generated-");
  try {
    generate(out);
    const want = filesOf(out);
    const have = filesOf(TARGET);
    const stale = [...new Set([...want.keys(), ...have.keys()])].filter(
      (name) => want.get(name) !== have.get(name),
    );
    if (stale.length > 0) {
      process.stderr.write(`${TARGET} is not what the protos say: ${stale.join(", ")}\n`);
      process.stderr.write('Run "npm run generate" and commit the result.\n');
      process.exitCode = 1;
    }
  } finally {
    rmSync(out, { recursive: true });
  }
} else {
  generate(TARGET);
}
