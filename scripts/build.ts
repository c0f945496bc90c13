/** Makes `dist/proglog` for this machine, and checks that it runs and knows its version. */
import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { compile, VERSION } from "./lib-build.ts";

const outfile = process.platform === "win32" ? "dist/proglog.exe" : "dist/proglog";
mkdirSync("dist", { recursive: true });
rmSync(outfile, { force: true });
compile({ outfile });
const said = execFileSync(`./${outfile}`, ["version"], { encoding: "utf8" });
if (!said.includes(VERSION)) {
  process.stderr.write(`${outfile} does not say that it is version ${VERSION}:\n${said}`);
  process.exit(1);
}
process.stdout.write(said);
