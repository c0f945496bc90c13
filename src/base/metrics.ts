/** What a metric is, for those who read it. The name has the unit, and `_total` when it is a counter. */
export interface MetricInfo {
  readonly kind: "counter" | "gauge";
  /** A sentence. */
  readonly help: string;
  /** The sum over all values of all labels must mean something. */
  readonly labels?: readonly string[];
}

/** By name. It stands beside the code that counts. */
export type MetricTable = Readonly<Record<string, MetricInfo>>;

export interface Reading<Name extends string = string> {
  readonly name: Name;
  readonly value: number;
  readonly labels?: Readonly<Record<string, string>>;
}

/** Metrics that are read when somebody looks: until then they cost nothing. */
export interface MetricSource {
  readonly table: MetricTable;
  /** Cheap; nothing of what is not known yet. */
  read(): readonly Reading[];
}
