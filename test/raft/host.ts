import { MIB } from "../../src/base/units.ts";
import { Admission } from "../../src/raft/admission.ts";
import { SingleVoter } from "../../src/raft/single-voter.ts";
import type { AppliedEntry, VoterProposeOptions } from "../../src/raft/voter.ts";
import { SimClock, settle } from "../support/sim-clock.ts";
import { FakeJournal } from "./fake-journal.ts";

/** Commands are texts; those in capitals may share an entry. */
class Host {
  readonly applied: string[] = [];
  readonly failures: unknown[] = [];
  isDiskFull = false;
  room: PromiseWithResolvers<void> | undefined;
  poison: string | undefined;

  encodedCount = 0;

  encode(commands: readonly string[]): Uint8Array {
    this.encodedCount += 1;
    return new TextEncoder().encode(commands.join("+"));
  }

  canShare(command: string): boolean {
    return command === command.toUpperCase();
  }

  apply({ index, payload }: AppliedEntry): readonly string[] {
    const text = new TextDecoder().decode(payload);
    if (text === this.poison) throw new Error(`cannot apply ${text}`);
    this.applied.push(`${index}:${text}`);
    return text.split("+").map((command) => `did ${command}`);
  }

  canApply(): boolean {
    return this.room === undefined;
  }

  whenCanApply(): Promise<void> {
    return this.room?.promise ?? Promise.resolve();
  }

  /** Stands for the host's files being slow. */
  slow: PromiseWithResolvers<void> | undefined;

  written(): Promise<void> {
    return this.slow?.promise ?? Promise.resolve();
  }
}

export async function setUp(
  options: {
    lastIndex?: number;
    appliedIndex?: number;
    laneBytesMax?: number;
    journal?: FakeJournal;
  } = {},
) {
  const journal = options.journal ?? new FakeJournal();
  const host = new Host();
  const { lastIndex = 1, appliedIndex = 1, laneBytesMax = 100 } = options;
  const limits = { bytesMax: 100 * MIB, laneBytesMax, waitingBytesMax: 100, waitingCountMax: 3 };
  const voter = new SingleVoter<string, string>({
    journal,
    host,
    lane: new Admission(limits).lane(),
    clock: new SimClock(),
    replicaId: 7,
    term: 1,
    lastIndex,
    appliedIndex,
    appliedTerm: 1,
    onFailure: (error) => host.failures.push(error),
  });
  const propose = (text: string, more: Partial<VoterProposeOptions> = {}) => {
    const call = voter.propose(text, { bytes: text.length, ...more });
    call.catch(() => {}); // Tests look at it later.
    return call;
  };
  if (options.journal === undefined) await voter.recover();
  return { journal, host, voter, propose };
}

/** What a promise came to, once nothing moves any more. */
export async function settled(promise: Promise<unknown>): Promise<string> {
  let state = "waits";
  promise.then(
    (value) => {
      state = `${value}`;
    },
    (error) => {
      const outcome = error.metadata?.outcome;
      state = `${error.reason}${outcome === undefined ? "" : ` ${outcome}`}`;
    },
  );
  await settle();
  return state;
}
