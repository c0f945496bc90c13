/** Spaces between two columns. */
const GAP = 2;

/** Longest line of help. */
const WIDTH = 96;

/** A title longer than this has its text on lines of their own. */
const TITLE_WIDTH_MAX = 34;

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

/** Titles with their explanations beside them, wrapped. */
export function definitions(rows: readonly (readonly [string, string])[]): string[] {
  const fitting = rows.map(([title]) => title.length).filter((size) => size <= TITLE_WIDTH_MAX);
  const indent = Math.max(...fitting, 0) + GAP;
  return rows.flatMap(([title, text]) => {
    const lines = wrap(text, WIDTH - indent);
    const padding = " ".repeat(indent);
    if (title.length > TITLE_WIDTH_MAX) return [title, ...lines.map((line) => padding + line)];
    return lines.map((line, place) => (place === 0 ? title.padEnd(indent) : padding) + line);
  });
}

/** Breaks a text at its spaces. A word longer than `width` stands alone. */
export function wrap(text: string, width = WIDTH): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = "";
    }
    line += line === "" ? word : ` ${word}`;
  }
  return [...lines, line];
}
