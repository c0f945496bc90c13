/** Say `SEED=17` to run one run again. */
const SEED = Number(process.env["SEED"] ?? 20261125);

/**
 * How long a property is tried. Few runs by default, so that everybody's tests stay
 * quick; `FUZZ_RUNS=100000` is for a night.
 */
export function runs(numRunsDefault: number): { readonly numRuns: number; readonly seed: number } {
  const wanted = Number(process.env["FUZZ_RUNS"] ?? 0);
  return { numRuns: Math.max(wanted, numRunsDefault), seed: SEED };
}
