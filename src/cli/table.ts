/** Spaces between two columns. */
const GAP = 2;

/** Lines with the cells of `rows` one below the other. The last column is not padded. */
export function columns(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [place, cell] of row.slice(0, -1).entries()) {
      widths[place] = Math.max(widths[place] ?? 0, cell.length);
    }
  }
  return rows.map((row) =>
    row
      .map((cell, place) =>
        place === row.length - 1 ? cell : cell.padEnd((widths[place] ?? 0) + GAP),
      )
      .join("")
      .trimEnd(),
  );
}

/** A table for people: a head in capitals, then the rows. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return `${columns([head, ...rows]).join("\n")}\n`;
}

/** Names and values, one pair a line. */
export function pairs(rows: readonly (readonly [string, string])[]): string {
  return `${columns(rows).join("\n")}\n`;
}
