import type { Observable } from "@opentelemetry/api";
import type { MetricInfo, MetricSource } from "../base/metrics.ts";

/** Whose metrics they are, to OpenTelemetry. */
const METER = "proglog";

/**
 * Says what the sources say in the text format of Prometheus, by way of OpenTelemetry. Its modules are
 * loaded when somebody looks for the first time.
 */
export class Prometheus {
  readonly #sources: readonly MetricSource[];
  #print: Promise<() => Promise<string>> | undefined;

  constructor(sources: readonly MetricSource[]) {
    this.#sources = sources;
  }

  /** @throws what a source throws */
  async print(): Promise<string> {
    this.#print ??= printerOf(this.#sources);
    const print = await this.#print;
    return await print();
  }
}

async function printerOf(sources: readonly MetricSource[]): Promise<() => Promise<string>> {
  const { AggregationTemporality, InstrumentType, MeterProvider, MetricReader } = await import(
    "@opentelemetry/sdk-metrics"
  );
  const { PrometheusSerializer } = await import("@opentelemetry/exporter-prometheus");
  /** Reads when it is asked, not by itself. */
  class AskedReader extends MetricReader {
    protected override onShutdown(): Promise<void> {
      return Promise.resolve();
    }

    protected override onForceFlush(): Promise<void> {
      return Promise.resolve();
    }
  }
  const { CUMULATIVE, DELTA } = AggregationTemporality;
  const reader = new AskedReader({
    // Else a gauge goes on to say for ever what it said of something that is gone.
    aggregationTemporalitySelector: (type) =>
      type === InstrumentType.OBSERVABLE_GAUGE ? DELTA : CUMULATIVE,
  });
  const meter = new MeterProvider({ readers: [reader] }).getMeter(METER);
  const observe = (name: string, { kind, help }: MetricInfo): Observable =>
    kind === "counter"
      ? meter.createObservableCounter(name, { description: help })
      : meter.createObservableGauge(name, { description: help });
  for (const source of sources) {
    const made = Object.entries(source.table).map(([name, info]): [string, Observable] => [
      name,
      observe(name, info),
    ]);
    const observables = new Map(made);
    meter.addBatchObservableCallback(
      (result) => {
        for (const { name, value, labels } of source.read()) {
          const observable = observables.get(name);
          if (observable !== undefined) result.observe(observable, value, labels);
        }
      },
      [...observables.values()],
    );
  }
  // Neither the scope nor the target as labels: they would say the same everywhere.
  const serializer = new PrometheusSerializer("", false, undefined, true, true);
  return async () => {
    const { resourceMetrics, errors } = await reader.collect();
    if (errors.length > 0) throw errors[0];
    return serializer.serialize(resourceMetrics);
  };
}
