/** A line of the benchmark's output. */
export type Row = Readonly<Record<string, string | number | null>>;

/** One figure of a cell; the best of a row is bold. */
interface Figure {
  readonly key: string;
  readonly best?: "highest" | "lowest";
  /** Between the figure before it and this one. */
  readonly before?: string;
}

interface TableShape {
  readonly phases: readonly string[];
  readonly heading: string;
  readonly figures: readonly Figure[];
}

const TABLES: readonly TableShape[] = [
  {
    phases: ["synced"],
    heading: "Synced before the answer: records/s, p50/p99 ms of a call.",
    figures: [
      { key: "recordsPerSecond", best: "highest" },
      { key: "p50Ms", before: ", " },
      { key: "p99Ms", before: "/" },
    ],
  },
  {
    phases: ["syncs"],
    heading: "Answers for each call that syncs, as strace counts them: never more than in flight.",
    figures: [{ key: "answersPerSync" }],
  },
  {
    phases: ["idle"],
    heading:
      "Processors that each keeps busy while nobody calls it; it does so beside the others' runs.",
    figures: [{ key: "cores", best: "lowest" }],
  },
  {
    phases: ["tails"],
    heading: "From before an append until a tail has it, synced: p50/p99 ms.",
    figures: [
      { key: "p50Ms", best: "lowest" },
      { key: "p99Ms", best: "lowest", before: "/" },
    ],
  },
  {
    phases: ["catch-up"],
    heading: "Catch-up from the start of a log in the page cache, one reader: records/s, MB/s.",
    figures: [
      { key: "recordsPerSecond", best: "highest" },
      { key: "mbPerSecond", before: ", " },
    ],
  },
  {
    phases: ["synced", "catch-up"],
    heading:
      "Processor time of appends and catch-up, us a record: the system + the generator. *: the generator\n" +
      "took more than the system, and both together all there is.",
    figures: [
      { key: "peerCpuUs", best: "lowest" },
      { key: "generatorCpuUs", before: " + " },
    ],
  },
  {
    phases: ["restart"],
    heading: "From the start of the process after kill -9 to the first read/the first append, ms.",
    figures: [
      { key: "firstReadMs", best: "lowest" },
      { key: "firstWriteMs", best: "lowest", before: "/" },
    ],
  },
];

/** Of bench/cluster/run.ts: three servers of each system. */
const CLUSTER_TABLES: readonly TableShape[] = [
  {
    phases: ["quorum"],
    heading: "Synced on a majority before the answer: records/s, p50/p99 ms of a call.",
    figures: [
      { key: "recordsPerSecond", best: "highest" },
      { key: "p50Ms", before: ", " },
      { key: "p99Ms", before: "/" },
    ],
  },
  {
    phases: ["fail-over"],
    heading: "kill -9 of the leader: longest time without an answer, ms: median, worst.",
    figures: [
      { key: "gapMs", best: "lowest" },
      { key: "gapMsMax", best: "lowest", before: ", " },
    ],
  },
  {
    phases: ["idle-topics"],
    heading: "Three idle servers in all: % of one processor, MB of memory.",
    figures: [{ key: "percentOfCore" }, { key: "rssMb", before: " %, " }],
  },
  {
    phases: ["new-server"],
    heading: "A second server copies the log of the first: MB/s; seconds in all.",
    figures: [{ key: "mbPerSecond" }, { key: "secondsInAll", before: "; " }],
  },
  {
    phases: ["live"],
    heading: "Appends while a new server copies: p50/p99 ms.",
    figures: [{ key: "p50Ms" }, { key: "p99Ms", before: "/" }],
  },
];

/** Of two processors: busy from here on. */
const BUSY_CORES = 1.8;

/** Markdown of the phases that there are rows of: a line for each workload, a column for each peer. */
export function peerTables(rows: readonly Row[]): string {
  const tables = [...TABLES, ...CLUSTER_TABLES].flatMap((shape) => {
    const own = rows.filter(
      (row) => shape.phases.includes(`${row["phase"]}`) && row["title"] !== undefined,
    );
    const measured = own.filter((row) => row["what"] !== "failed" && row["what"] !== "filled");
    return measured.length === 0 ? [] : [`${shape.heading}\n\n${tableOf(measured, shape)}`];
  });
  return [...tables, ...failuresOf(rows)].join("\n\n");
}

function tableOf(rows: readonly Row[], shape: TableShape): string {
  const titles = [...new Set(rows.map((row) => `${row["title"]}`))];
  const lines = [...new Set(rows.map((row) => `${row["what"]}`))].map((what) => {
    const line = rows.filter((row) => row["what"] === what);
    const cells = titles.map((title) => cellOf(line, title, shape));
    return [what, ...cells];
  });
  return [["", ...titles], ["---", ...titles.map(() => "---")], ...lines]
    .map((line) => `| ${line.join(" | ")} |`.replace("|  |", "| |"))
    .join("\n");
}

function cellOf(line: readonly Row[], title: string, shape: TableShape): string {
  const row = line.find((other) => other["title"] === title);
  if (row === undefined || typeof row[shape.figures[0]?.key ?? ""] !== "number") return "–";
  const figures = shape.figures.map(({ key, best, before = "" }) => {
    const text = formatted(row[key]);
    const isBest = best !== undefined && row[key] === bestOf(line, key, best);
    return `${before}${isBest ? `**${text}**` : text}`;
  });
  const lost = Number(row["lost"] ?? 0) === 0 ? "" : `, ${row["lost"]} lost`;
  const less = row["gbOnly"] === undefined ? "" : ` (${row["gbOnly"]} GB)`;
  return `${figures.join("")}${lost}${less}${isGenerator(row, shape) ? "*" : ""}`;
}

function isGenerator(row: Row, { figures }: TableShape): boolean {
  const own = Number(row["generatorCores"]);
  const peer = Number(row["peerCores"]);
  return figures[0]?.key === "peerCpuUs" && own > peer && own + peer > BUSY_CORES;
}

function bestOf(line: readonly Row[], key: string, best: "highest" | "lowest"): number {
  // Those that had less to do do not compete.
  const whole = line.filter((row) => row["gbOnly"] === undefined);
  const numbers = whole.map((row) => row[key]).filter((value) => typeof value === "number");
  return best === "highest" ? Math.max(...numbers) : Math.min(...numbers);
}

function formatted(value: Row[string] | undefined): string {
  return typeof value === "number" ? value.toLocaleString("en-US") : "–";
}

function failuresOf(rows: readonly Row[]): string[] {
  const failed = rows.filter((row) => row["what"] === "failed");
  if (failed.length === 0) return [];
  const lines = failed.map((row) => `- ${row["phase"]}, ${row["title"]}: ${row["why"]}`);
  return [`Not measured:\n\n${[...new Set(lines)].join("\n")}`];
}
