import type { Sample } from "./load.ts";

/** One of those that are compared; each runs once a round. */
export interface Entrant {
  readonly name: string;
  /** What tells apart the runs of one entrant, such as how many calls are in flight. */
  readonly fields: Readonly<Record<string, string | number>>;
  readonly run: () => Promise<Sample>;
  /** Columns to add: the name of a ratio, and the entrant whose figure is below the line. */
  readonly ratios?: Readonly<Record<string, string>>;
}

/**
 * Runs all entrants round by round, so that a slow minute of the machine meets all, and
 * prints the median of every figure and ratio as a line of JSON each. A ratio is of two
 * runs of one round. Medians are of those samples that have the figure.
 *
 * @param rate the figure that ratios are made of
 */
export async function compare(
  entrants: readonly Entrant[],
  options: { readonly rounds: number; readonly rate: string; readonly what: string },
): Promise<void> {
  const { rounds, rate, what } = options;
  const samples = new Map<string, Sample[]>(entrants.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round += 1) {
    // Each round begins with another one: whoever follows a heavy load would always pay for it.
    for (let at = 0; at < entrants.length; at += 1) {
      const entrant = entrants[(at + round) % entrants.length];
      if (entrant !== undefined) samples.get(entrant.name)?.push(await entrant.run());
    }
  }
  for (const { name, fields, ratios = {} } of entrants) {
    const own = samples.get(name) ?? [];
    const figures: Record<string, number> = {};
    for (const key of new Set(own.flatMap((sample) => Object.keys(sample)))) {
      figures[key] = rounded(median(own.flatMap((sample) => sample[key] ?? [])));
    }
    for (const [ratio, other] of Object.entries(ratios)) {
      const below = samples.get(other) ?? [];
      const each = own.map((sample, at) => (sample[rate] ?? NaN) / (below[at]?.[rate] ?? NaN));
      figures[ratio] = rounded(median(each.filter(Number.isFinite)));
    }
    const range = own
      .flatMap((sample) => sample[rate] ?? [])
      .map(rounded)
      .sort((a, b) => a - b);
    say({ what, name, ...fields, ...figures, low: range[0] ?? 0, high: range.at(-1) ?? 0 });
  }
}

export function say(fields: Readonly<Record<string, string | number>>): void {
  process.stdout.write(`${JSON.stringify(fields)}\n`);
}

/** Of an even number the higher of the middle two. */
export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((left, right) => left - right);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/** Three digits that count, or whole numbers. */
function rounded(value: number): number {
  return Math.abs(value) >= 1000 ? Math.round(value) : Number(value.toPrecision(3));
}
