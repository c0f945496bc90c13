import { CORE_ENTRY_NORMAL, type CoreReady, type CoreSnapshot } from "../../../src/raft/core.ts";
import { CoreReader } from "../../../src/raft/core-codec.ts";
import { messageTo, messageType } from "../../../src/raft/core-messages.ts";
import type { WasmGroup } from "../../../src/raft/wasm-group.ts";
import { readReady } from "../../../src/raft/wasm-ready.ts";
import { MemoryLog } from "../memory-log.ts";
import type { TestConfig, TestCore, TestResponse } from "./test-core.ts";

/** A message on its way, also one of a replica to itself. */
export interface Envelope {
  readonly to: number;
  readonly text: string;
  /** Between a replica and its storage threads, or to itself: never dropped. */
  readonly isLocal: boolean;
  /** @returns the library's error; empty when there is none */
  readonly deliver: (receiver: Replica) => string;
}

/** Something that the host has to do. */
export interface Work {
  /** The library's description. */
  readonly text: string;
  readonly run: () => void;
  /** To be sent when it is done. */
  readonly messages: readonly Envelope[];
}

export type Thread = "append" | "apply";

/** One replica of a script: the core's group, its log, and no state but the membership. */
export class Replica {
  readonly config: TestConfig;
  readonly group: WasmGroup;
  readonly log: MemoryLog;
  readonly works: Readonly<Record<Thread, Work[]>> = { append: [], apply: [] };
  readonly #core: TestCore;
  #applied: CoreSnapshot;

  constructor(core: TestCore, config: TestConfig, start: CoreSnapshot) {
    this.#core = core;
    this.config = config;
    this.log = new MemoryLog(start.index, start.term);
    this.#applied = start;
    this.log.offer(start);
    this.group = core.open(config, this.log);
  }

  get hasReady(): boolean {
    // The state may have changed through a hook: any call tells anew.
    this.group.status();
    return this.group.hasReady;
  }

  /** What to do about the next Ready; the work for the storage threads is left in {@link works}. */
  takeReady(): Work {
    const answer = this.#core.ready(this.group);
    const ready = readReady(new CoreReader(fromBase64(answer.Ready)));
    for (const { IsAppend, Text, Responses } of answer.Work ?? []) {
      this.works[IsAppend ? "append" : "apply"].push({
        text: Text,
        run: () => (IsAppend ? this.#append(ready) : this.#apply(ready)),
        messages: (Responses ?? []).map((response) => this.#responseEnvelope(response)),
      });
    }
    return {
      text: answer.Text,
      run: () => {
        if (this.config.AsyncStorageWrites) return;
        this.#append(ready);
        this.#apply(ready);
        this.#core.advance(this.group);
      },
      messages: ready.messages.map((bytes) => networkEnvelope(this.#core, bytes)),
    };
  }

  #append(ready: CoreReady): void {
    if (ready.snapshot === undefined) this.log.append(ready.entries);
    else this.log.restore(ready.snapshot);
  }

  #apply({ commitFirst, commitLast }: CoreReady): void {
    if (commitFirst === 0) return;
    const all = Number.POSITIVE_INFINITY;
    for (const entry of this.log.entries(commitFirst, commitLast + 1, all) ?? []) {
      const { index, term, type, data } = entry;
      const isChange = type !== CORE_ENTRY_NORMAL;
      const conf = isChange ? this.group.applyConfChange(type, data) : this.#applied.conf;
      this.#applied = { index, term, conf, data: this.#applied.data };
      this.log.offer(this.#applied);
    }
  }

  #responseEnvelope(response: TestResponse): Envelope {
    if (response.Number < 0) return networkEnvelope(this.#core, fromBase64(response.Bytes ?? ""));
    return {
      to: response.To,
      text: response.Text,
      isLocal: true,
      deliver: (receiver) => {
        this.#core.stepResponse(receiver.group, response.Number);
        return "";
      },
    };
  }
}

/** A message between replicas goes the product's way: its bytes, and its `step`. */
export function networkEnvelope(core: TestCore, bytes: Uint8Array): Envelope {
  return {
    to: messageTo(bytes),
    text: core.describe(bytes),
    isLocal: false,
    deliver: ({ group }) => {
      // The product does not forward proposals, and refuses what others forward.
      if (messageType(bytes) === PROPOSAL) return core.step(group, bytes);
      return group.step(bytes) === "ok" ? "" : UNKNOWN_PEER;
    },
  };
}

/** raftpb.MsgProp */
const PROPOSAL = 2;
/** What the library says where the product says "ignored". */
const UNKNOWN_PEER = "raft: cannot step as peer not found";

function fromBase64(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "base64"));
}
