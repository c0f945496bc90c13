import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { posix } from "node:path";
import { test } from "node:test";

/** A folder may import from itself and from the folders listed here, nothing else. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  base: [],
  gen: [],
  platform: ["base"],
  storage: ["base", "platform"],
  journal: ["base", "platform", "storage"],
  raft: ["base", "platform", "journal"],
  topics: ["base", "platform", "storage"],
  cluster: ["base", "platform", "storage", "journal", "raft", "topics"],
  observability: ["base", "platform"],
  rpc: ["base", "gen", "platform", "raft", "topics", "cluster"],
  client: ["base", "gen"],
  server: [
    "base",
    "gen",
    "platform",
    "storage",
    "journal",
    "raft",
    "topics",
    "cluster",
    "observability",
    "rpc",
  ],
  cli: [
    "base",
    "gen",
    "platform",
    "storage",
    "journal",
    "topics",
    "cluster",
    "observability",
    "client",
    "server",
  ],
};

/** Only these may name a runtime's own modules. */
const MAY_TOUCH_RUNTIME = new Set(["platform", "observability", "server", "cli"]);

/** Below `server/`, time, randomness and the environment are handed in. */
const HANDED_IN: readonly (readonly [RegExp, string])[] = [
  [/\bDate\.now\(|\bnew Date\(\)/, "base/clock.ts"],
  [/\bMath\.random\(/, "base/random.ts"],
  [/\bperformance\.now\(/, "base/clock.ts"],
  [/\bprocess\.env\b/, "server/settings.ts"],
  [/\bconsole\./, "base/log.ts"],
];
const MAY_READ_THE_WORLD = new Set(["platform", "observability", "server", "cli"]);

const LINES_MAX = 600;
/** Longer files than this are a question; the list of answers may only get shorter. */
const LINES_ASKED = 400;
const LONG_FILES: readonly string[] = [];

async function sources(): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const path of await readdir("src", { recursive: true })) {
    const name = path.replaceAll("\\", "/");
    if (name.endsWith(".ts") && !name.startsWith("gen/")) {
      found.set(name, await readFile(`src/${name}`, "utf8"));
    }
  }
  return found;
}

/** Comments and texts may speak of anything: only code is judged. */
function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\//g, "").replaceAll(/^\s*\/\/.*$/gm, "");
}

test("imports follow the layers in ARCHITECTURE.md", async () => {
  const faults: string[] = [];
  for (const [path, text] of await sources()) {
    const folder = path.includes("/") ? (path.split("/")[0] ?? "") : "";
    if (folder === "") continue;
    if (MAY_IMPORT[folder] === undefined) faults.push(`${path}: unknown folder ${folder}/`);
    for (const [, specifier = ""] of text.matchAll(/\b(?:from|import\() ?"([^"]+)"/g)) {
      const isOurs = specifier.startsWith(".");
      const target = isOurs ? posix.join(posix.dirname(path), specifier).split("/")[0] : undefined;
      if (target !== undefined && target !== folder && !MAY_IMPORT[folder]?.includes(target)) {
        faults.push(`${path}: ${folder}/ must not import ${target}/`);
      }
      if (/^(node|bun):/.test(specifier) && !MAY_TOUCH_RUNTIME.has(folder)) {
        faults.push(`${path}: "${specifier}" belongs in platform/`);
      }
    }
  }
  assert.deepEqual(faults, []);
});

test("imports go in no circle, so that a file can be understood after those that it names", async () => {
  const files = await sources();
  const done = new Set<string>();
  const visit = (path: string, way: readonly string[]): void => {
    assert.ok(!way.includes(path), `a circle: ${[...way, path].join(" -> ")}`);
    if (done.has(path)) return;
    for (const [, specifier = ""] of (files.get(path) ?? "").matchAll(/ from "(\.[^"]+)"/g)) {
      visit(posix.join(posix.dirname(path), specifier), [...way, path]);
    }
    done.add(path);
  };
  for (const path of files.keys()) visit(path, []);
});

test("runtimes, time, randomness and the environment are named only where they belong", async () => {
  const faults: string[] = [];
  for (const [path, text] of await sources()) {
    const folder = path.includes("/") ? (path.split("/")[0] ?? "") : "server";
    const code = withoutComments(text);
    if (/\bBun\./.test(code) && folder !== "platform") faults.push(`${path}: Bun.* is platform/'s`);
    if (MAY_READ_THE_WORLD.has(folder)) continue;
    for (const [pattern, instead] of HANDED_IN) {
      if (pattern.test(code)) faults.push(`${path}: ${pattern.source} belongs behind ${instead}`);
    }
  }
  assert.deepEqual(faults, []);
});

test("files stay small enough to explain in one sentence", async () => {
  const faults: string[] = [];
  for (const [path, text] of await sources()) {
    const lines = text.split("\n").length;
    if (lines > LINES_MAX) faults.push(`${path}: ${lines} lines, at most ${LINES_MAX}`);
    else if (lines > LINES_ASKED && !LONG_FILES.includes(path)) {
      faults.push(`${path}: ${lines} lines; split it, or list it with a reason`);
    }
  }
  assert.deepEqual(faults, []);
});

test("only protobuf layers know protobuf, and no file re-exports another folder", async () => {
  const faults: string[] = [];
  for (const [path, text] of await sources()) {
    const folder = path.split("/")[0] ?? "";
    const below = ["base", "platform", "storage", "journal", "raft", "topics", "cluster"];
    if (below.includes(folder) && /from "@(bufbuild|connectrpc)\//.test(text)) {
      faults.push(`${path}: protobuf and Connect begin at rpc/`);
    }
    if (/^export (\*|\{[^}]*\}) from "\.\.\//m.test(text)) faults.push(`${path}: a barrel`);
  }
  assert.deepEqual(faults, []);
});
