/**
 * Makes Markdown tables of what the benchmarks print.
 *
 *   node bench/rpc/unary.ts > unary.jsonl; node bench/table.ts < unary.jsonl
 *   node bench/table.ts --into docs/benchmarks.md < peers.jsonl
 *
 * Of `bench/peers/run.ts` and `bench/cluster/run.ts` there is a table for each phase, a column for
 * each system; `--into` puts them in the place of those that a file has between `<!-- peers -->`
 * and `<!-- /peers -->`, or what `--mark` says instead of `peers`.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { parseArgs } from "node:util";
import { peerTables, type Row } from "./peers/tables.ts";

const { values } = parseArgs({
  options: { into: { type: "string" }, mark: { type: "string", default: "peers" } },
});
const BEGIN = `<!-- ${values.mark} -->\n`;
const END = `\n<!-- /${values.mark} -->`;
const rows = (await text(process.stdin))
  .split("\n")
  .filter((line) => line.startsWith("{"))
  .map((line) => JSON.parse(line) as Row);
const tables = rows.some((row) => row["phase"] !== undefined)
  ? `${peerTables(rows)}\n`
  : plainTables(rows);
if (values.into === undefined) process.stdout.write(tables);
else put(tables, values.into);

function put(tables: string, path: string): void {
  const document = readFileSync(path, "utf8");
  const begin = document.indexOf(BEGIN);
  const end = document.indexOf(END, begin);
  if (begin < 0 || end < 0) throw new Error(`Cannot fill ${path}: it has no ${BEGIN.trim()}`);
  const before = document.slice(0, begin + BEGIN.length);
  writeFileSync(path, `${before}\n${tables}${document.slice(end)}`);
}

/** A table for each `what`, with all its fields. */
function plainTables(rows: readonly Row[]): string {
  const groups = Map.groupBy(rows, (row) => `${row["what"]}`);
  return [...groups]
    .map(([what, group]) => {
      const columns = [...new Set(group.flatMap((row) => Object.keys(row)))].filter(
        (column) => column !== "what",
      );
      const lines = [columns, columns.map(() => "---"), ...group.map((row) => cells(row, columns))];
      return `${what}\n\n${lines.map((line) => `| ${line.join(" | ")} |`).join("\n")}\n\n`;
    })
    .join("");
}

function cells(row: Row, columns: readonly string[]): string[] {
  return columns.map((column) => {
    const value = row[column];
    return typeof value === "number" ? value.toLocaleString("en-US") : `${value ?? ""}`;
  });
}
