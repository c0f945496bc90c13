import assert from "node:assert/strict";
import { test } from "node:test";
import type { MetricSource, Reading } from "../../src/base/metrics.ts";
import { Prometheus } from "../../src/observability/prometheus.ts";
import { METRIC_TABLES } from "../../src/server/metric-tables.ts";

function sourceOf(read: () => readonly Reading[]): MetricSource {
  return {
    table: {
      x_bytes: { kind: "gauge", help: "How much.", labels: ["place"] },
      x_total: { kind: "counter", help: "How often." },
    },
    read,
  };
}

test("what a source says is printed with its help, each time as it is then", async () => {
  let readings: Reading[] = [
    { name: "x_bytes", value: 1.5, labels: { place: 'a "b"\\\n' } },
    { name: "x_bytes", value: 0, labels: { place: "c" } },
    { name: "x_total", value: 7 },
  ];
  const prometheus = new Prometheus([sourceOf(() => readings)]);
  assert.deepEqual((await prometheus.print()).trimEnd().split("\n"), [
    "# HELP x_bytes How much.",
    "# TYPE x_bytes gauge",
    'x_bytes{place="a \\"b\\"\\\\\\n"} 1.5',
    'x_bytes{place="c"} 0',
    "# HELP x_total How often.",
    "# TYPE x_total counter",
    "x_total 7",
  ]);
  readings = [{ name: "x_total", value: 9 }];
  assert.match(await prometheus.print(), /^x_total 9$/m);
});

test("what is not known is not said, also when it was", async () => {
  let readings: Reading[] = [{ name: "x_bytes", value: 1, labels: { place: "a" } }];
  const prometheus = new Prometheus([sourceOf(() => readings)]);
  assert.match(await prometheus.print(), /^x_bytes\{place="a"\} 1$/m);
  readings = [];
  assert.doesNotMatch(await prometheus.print(), /^x_bytes\{/m);
});

test("a source that fails is told of, and asked again", async () => {
  let fails = true;
  const prometheus = new Prometheus([
    sourceOf(() => {
      if (fails) throw new Error("not now");
      return [{ name: "x_total", value: 1 }];
    }),
  ]);
  await assert.rejects(prometheus.print(), /not now/);
  fails = false;
  assert.match(await prometheus.print(), /^x_total 1$/m);
});

test("names and helps are what Prometheus and people expect", () => {
  const names = METRIC_TABLES.flatMap((table) => Object.keys(table));
  assert.equal(new Set(names).size, names.length);
  for (const [name, info] of METRIC_TABLES.flatMap((table) => Object.entries(table))) {
    assert.match(name, /^proglog_[a-z]+(_[a-z]+)+$/);
    assert.equal(name.endsWith("_total"), info.kind === "counter", name);
    assert.match(info.help, /^[A-Z0-9].*\.$/);
    for (const label of info.labels ?? []) assert.match(label, /^[a-z]+(_[a-z]+)*$/);
  }
});
