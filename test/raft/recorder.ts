import type { OfferedSnapshot, PreparedSnapshot, RaftHost } from "../../src/raft/raft-host.ts";
import type { AppliedEntry } from "../../src/raft/voter.ts";

/** A machine that remembers what it applied, in order. Commands are texts; those in capitals stand alone. */
export class Recorder implements RaftHost<string, string> {
  /** Commands, in order. */
  applied: string[];
  /** Entries with commands that were applied in this life, as "index:commands". */
  readonly entries: string[] = [];
  encodedCount = 0;
  /** Stands for the host's files being slow. */
  slow: PromiseWithResolvers<void> | undefined;
  /** Of the last entry or snapshot. */
  index: number;
  isDiskFull = false;
  hasRoom = true;
  poison: string | undefined;
  /** What an offered snapshot waits for. */
  install: (offered: OfferedSnapshot, signal: AbortSignal) => Promise<void> = async () => {};
  onPrepared: (offered: OfferedSnapshot) => void = () => {};
  onCommitted: (offered: OfferedSnapshot) => void = () => {};
  onApply: (index: number, term: number, text: string) => void = () => {};
  installs = 0;

  constructor(applied: readonly string[] = [], index = 1) {
    this.applied = [...applied];
    this.index = index;
  }

  encode(commands: readonly string[], _clockUs: number): Uint8Array {
    this.encodedCount += 1;
    return new TextEncoder().encode(commands.join("+"));
  }

  canShare(command: string): boolean {
    return command !== command.toUpperCase();
  }

  apply({ index, term, payload }: AppliedEntry): readonly string[] {
    const text = new TextDecoder().decode(payload);
    if (text === this.poison) throw new Error(`cannot apply ${text}`);
    if (index <= this.index) throw new Error(`${index} is applied after ${this.index}`);
    this.index = index;
    this.entries.push(`${index}:${text}`);
    this.onApply(index, term, text);
    const commands = text.split("+");
    this.applied.push(...commands);
    return commands.map((command) => `did ${command}`);
  }

  canApply(): boolean {
    return this.hasRoom;
  }

  async whenCanApply(): Promise<void> {
    while (!this.hasRoom) await new Promise<void>((resolve) => setImmediate(resolve));
  }

  async written(): Promise<void> {
    await this.slow?.promise;
  }

  captureSnapshot(): { readonly data: Uint8Array } | undefined {
    return { data: new TextEncoder().encode(JSON.stringify([this.index, ...this.applied])) };
  }

  async installSnapshot(offered: OfferedSnapshot, signal: AbortSignal): Promise<PreparedSnapshot> {
    await this.install(offered, signal);
    signal.throwIfAborted();
    this.onPrepared(offered);
    return {
      commit: async (adopted) => {
        await undefined;
        this.restore(offered);
        adopted();
        this.onCommitted(offered);
      },
      abort: async () => {},
    };
  }

  restore({ index, data }: Pick<OfferedSnapshot, "index" | "data">): void {
    const [, ...applied] = JSON.parse(new TextDecoder().decode(data)) as [number, ...string[]];
    this.applied = applied;
    this.index = index;
    this.installs += 1;
  }
}
