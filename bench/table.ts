/**
 * Makes Markdown tables of what the benchmarks print.
 *
 *   node bench/rpc/unary.ts > unary.jsonl; node bench/table.ts < unary.jsonl
 */
import { text } from "node:stream/consumers";

type Row = Readonly<Record<string, string | number | null>>;

const rows = (await text(process.stdin))
  .split("\n")
  .filter((line) => line.startsWith("{"))
  .map((line) => JSON.parse(line) as Row);
const groups = new Map<string, Row[]>();
for (const row of rows) {
  const what = `${row["what"]}`;
  groups.set(what, [...(groups.get(what) ?? []), row]);
}
for (const [what, group] of groups) {
  const columns = [...new Set(group.flatMap((row) => Object.keys(row)))].filter(
    (column) => column !== "what",
  );
  const lines = [columns, columns.map(() => "---"), ...group.map((row) => cells(row, columns))];
  const table = lines.map((line) => `| ${line.join(" | ")} |`).join("\n");
  process.stdout.write(`${what}\n\n${table}\n\n`);
}

function cells(row: Row, columns: readonly string[]): string[] {
  return columns.map((column) => {
    const value = row[column];
    return typeof value === "number" ? value.toLocaleString("en-US") : `${value ?? ""}`;
  });
}
