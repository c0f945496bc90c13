import assert from "node:assert/strict";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { formatLogLine } from "../../src/observability/log-text.ts";
import { type LoggerOptions, makeLogger } from "../../src/observability/pino-logger.ts";

function logged(
  format: LoggerOptions["format"],
  work: (logger: ReturnType<typeof makeLogger>) => void,
): string {
  const dir = mkdtempSync(join(tmpdir(), "proglog-log-"));
  const file = join(dir, "log");
  const descriptor = openSync(file, "w");
  try {
    work(makeLogger({ level: "info", format, descriptor }));
    return readFileSync(file, "utf8");
  } finally {
    closeSync(descriptor);
    rmSync(dir, { recursive: true });
  }
}

test("JSON lines have time, level, message and fields, and an error with its causes", () => {
  const text = logged("json", (logger) => {
    logger.debug("not at this level");
    logger.info("Started", { port: 8400, dir: "a b", nothing: undefined });
    logger.error("Broke", { topic: "orders" }, new Error("outer", { cause: new Error("inner") }));
  });
  const [started, broke, ...others] = text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.deepEqual(others, []);
  assert.match(String(started?.["time"]), /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  const { time, ...rest } = started ?? {};
  assert.deepEqual(rest, { level: "info", message: "Started", port: 8400, dir: "a b" });
  const error = broke?.["error"] as { message: string; stack: string };
  assert.match(error.stack, /outer/);
  assert.match(error.stack, /inner/);
});

test("lines for people have the message first, then the fields, then the stack", () => {
  const text = logged("text", (logger) => {
    logger.warn("Disk is full", { topic: "orders", bytes: 4096, path: "a b", quote: 'x"y' });
    logger.error("Broke", {}, new Error("planted"));
  });
  const [warn = "", ...rest] = text.split("\n");
  assert.match(
    warn,
    /^\d{4}\S+Z WARN {2}Disk is full {2}topic=orders bytes=4096 path="a b" quote="x\\"y"$/,
  );
  assert.match(rest[0] ?? "", /Z ERROR Broke$/);
  assert.match(rest[1] ?? "", /^ {4}Error: planted/);
});

test("the level can be changed while it runs", () => {
  const text = logged("text", (logger) => {
    logger.setLevel("error");
    logger.info("quiet");
    logger.setLevel("debug");
    logger.debug("loud");
  });
  assert.doesNotMatch(text, /quiet/);
  assert.match(text, /loud/);
});

test("a line that is no JSON is passed on as it is", () => {
  assert.equal(formatLogLine("plain\n"), "plain\n");
});
