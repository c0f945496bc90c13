import { makeRandom } from "../support/prng.ts";
import { Checker } from "./checker.ts";
import type { Tally } from "./checker-history.ts";
import { FakeClock } from "./cluster-clock.ts";
import { SmallDisk } from "./cluster-disk.ts";
import { ClusterNetwork } from "./cluster-network.ts";
import { ClusterProcesses } from "./cluster-processes.ts";
import { FAULTS, type Fault } from "./faults.ts";
import { MEMBERSHIP_FAULTS } from "./faults-membership.ts";

export const ALL_FAULTS: readonly Fault[] = [...FAULTS, ...MEMBERSHIP_FAULTS];

/** Small, so that faults also meet rotation, recycling, checkpoints and snapshots. */
const FLAGS = ["--journal-file-bytes", "2MiB", "--checkpoint-bytes", "4MiB"];
const DISK_MIB = 4_096;
/** Everything is well again, so clients must be served again within this time. */
const RECOVERY_MS_MAX = 30_000;
/** Batches that must be acknowledged after each fault. */
const RECOVERY_ACKS = 20;
const CALM_ACKS = 100;

export interface FaultRunOptions {
  readonly dir: string;
  /** Servers: 3 or 5. */
  readonly size: number;
  readonly seed: number;
  readonly faults: readonly Fault[];
  /** Ends with the fault that is under way then. */
  readonly endsAtMs: number;
  readonly paceMs: number;
  /** Faults last so many times as long; default 1. */
  readonly scale?: number;
  /** Ends the run as it is: it rejects, and nothing is left running. */
  readonly signal?: AbortSignal;
  /** Runs each fault once, in order, instead of picking them by chance. */
  readonly isOnceEach: boolean;
  readonly say: (line: string) => void;
}

export interface FaultRun {
  readonly tally: Tally;
  readonly faults: number;
  readonly violations: readonly string[];
  /** By fault: the longest times without an acknowledgement, in ms. */
  readonly gapsMs: ReadonlyMap<string, readonly number[]>;
}

/** Why a fault cannot be made on this machine; undefined when it can. */
export function whyNot(fault: Fault, dir: string): string | undefined {
  if (fault.needs === "network") return ClusterNetwork.whyNot();
  if (fault.needs === "disks") return SmallDisk.whyNot(dir);
  return fault.needs === "clocks" ? FakeClock.whyNot() : undefined;
}

/**
 * A cluster under steady load, and one fault after the other, of those that are possible here.
 *
 * @throws when the cluster does not recover, with what the checker found so far
 */
export async function runFaults(options: FaultRunOptions): Promise<FaultRun> {
  const { dir, seed, faults, say, scale = 1, signal } = options;
  const random = makeRandom(seed);
  const cluster = await ClusterProcesses.start({
    ...{ dir, size: options.size, flags: FLAGS },
    hasNetwork: faults.some(({ needs }) => needs === "network"),
    hasClocks: faults.some(({ needs }) => needs === "clocks"),
    diskMib: faults.some(({ needs }) => needs === "disks") ? DISK_MIB : 0,
  });
  const checker = new Checker({
    ...{ seed, paceMs: options.paceMs, nodes: () => cluster.nodes },
    historyFile: `${dir}/history.jsonl`,
  });
  const gapsMs = new Map<string, number[]>();
  let count = 0;
  try {
    await checker.start();
    await checker.whenAcknowledged(CALM_ACKS, RECOVERY_MS_MAX);
    checker.takeGap();
    for (const fault of sequenceOf(options, random)) {
      signal?.throwIfAborted();
      const note = (what: string): void => checker.note(what);
      note(`begin: ${fault.name}`);
      await unlessAborted(fault.run({ cluster, random, scale, note }), signal);
      note(`end: ${fault.name}`);
      await checker.whenAcknowledged(RECOVERY_ACKS, RECOVERY_MS_MAX);
      const gap = Math.round(checker.takeGap());
      gapsMs.set(fault.name, [...(gapsMs.get(fault.name) ?? []), gap]);
      await cluster.whenSettled();
      await checker.whenSeen();
      count += 1;
      say(`${fault.name}: longest gap ${gap} ms, ${checker.acks} batches so far`);
      if (checker.history.violations.length > 0) break;
      await checker.whenAcknowledged(CALM_ACKS, RECOVERY_MS_MAX);
      checker.takeGap();
    }
    const tally = await checker.finish();
    return { tally, gapsMs, faults: count, violations: checker.history.violations };
  } catch (error) {
    await checker.stop();
    const found = checker.history.violations.join("\n");
    throw new Error(`${error instanceof Error ? error.stack : error}\n${found}`);
  } finally {
    await cluster.close();
  }
}

function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  const aborted = new Promise<never>((_, refuse) => {
    signal?.addEventListener("abort", () => refuse(signal.reason), { once: true });
  });
  return Promise.race([work, aborted]);
}

function* sequenceOf(options: FaultRunOptions, random: () => number): Iterable<Fault> {
  const { faults, isOnceEach, endsAtMs } = options;
  if (isOnceEach) {
    for (const fault of faults) if (performance.now() < endsAtMs) yield fault;
    return;
  }
  // Every one comes before any comes again.
  let left: Fault[] = [];
  while (performance.now() < endsAtMs) {
    if (left.length === 0) left = [...faults];
    const [fault] = left.splice(Math.floor(random() * left.length), 1);
    if (fault === undefined) return;
    yield fault;
  }
}
