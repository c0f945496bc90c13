import { ByteReader, ByteWriter, MalformedBytesError } from "../base/bytes.ts";
import type { ErrorMetadata } from "../base/errors.ts";
import type { Reason } from "../base/reasons.ts";
import type { CatalogueCommand, CreateCommand, DeleteCommand } from "./catalogue-commands.ts";
import { DEFAULT_TOPIC_NAME, isServerTopic } from "./names.ts";
import { readSettings, writeSettings } from "./settings.ts";
import type { Refusal } from "./topic-state.ts";
import type { TopicSettings } from "./topics.ts";

/** Ids of the catalogue's own group. */
export const CATALOGUE_TOPIC_ID = 0;
export const CATALOGUE_REPLICA_ID = 1;

const SNAPSHOT_VERSION = 1;
const FIRST_TOPIC_ID = 1;
const FIRST_REPLICA_ID = 2;

/** A topic as the catalogue knows it. */
export interface CatalogueEntry {
  readonly name: string;
  readonly id: number;
  /** Its only replica so far; a Raft id. */
  readonly replicaId: number;
  readonly createTimeUs: number;
  /** Where its own state begins; what was set since is in that state. */
  readonly settings: TopicSettings;
}

/** A deleted topic of which something may still be on disk. */
export interface DepartingTopic {
  readonly id: number;
  readonly replicaId: number;
}

export type CatalogueOutcome =
  | { readonly kind: "created"; readonly entry: CatalogueEntry }
  | { readonly kind: "deleted"; readonly departing: DepartingTopic }
  | { readonly kind: "removed" }
  | Refusal;

/**
 * The state machine of `_cluster`: which topics there are. Deterministic, as
 * TopicState is. Applying a command changes only this; a reconciler makes and
 * removes the replicas. Ids are counted up and never given twice. A deleted topic
 * stays in `departing` until its files are gone, so that a crash in between
 * cannot leave a folder that nobody owns.
 */
export class CatalogueState {
  readonly #topics = new Map<string, CatalogueEntry>();
  readonly #namesById = new Map<number, string>();
  readonly #departing = new Map<number, DepartingTopic>();
  /** Of `#topics`, in order: a page is a slice. */
  #names: string[] = [];
  #nextTopicId = FIRST_TOPIC_ID;
  #nextReplicaId = FIRST_REPLICA_ID;
  #lastTimeUs = 0;

  get(name: string): CatalogueEntry | undefined {
    return this.#topics.get(name);
  }

  byId(topicId: number): CatalogueEntry | undefined {
    const name = this.#namesById.get(topicId);
    return name === undefined ? undefined : this.#topics.get(name);
  }

  /** In name order (by UTF-16 units, which for names is byte order). */
  entries(): readonly CatalogueEntry[] {
    return this.list({ limit: this.#names.length });
  }

  departing(): readonly DepartingTopic[] {
    return [...this.#departing.values()];
  }

  /** Undefined when there is no such topic, or nothing is left of it. */
  departingById(topicId: number): DepartingTopic | undefined {
    return this.#departing.get(topicId);
  }

  /** Topics whose names begin with `prefix` and come after `after`, at most `limit`. */
  list(options: { prefix?: string; after?: string; limit: number }): CatalogueEntry[] {
    const prefix = options.prefix ?? "";
    const after = options.after ?? "";
    const result: CatalogueEntry[] = [];
    let at = Math.max(this.#placeOf(prefix), this.#placeOf(after));
    if (after !== "" && this.#names[at] === after) at += 1;
    for (; at < this.#names.length && result.length < options.limit; at += 1) {
      const entry = this.#topics.get(this.#names[at] ?? "");
      if (entry === undefined || !entry.name.startsWith(prefix)) break;
      result.push(entry);
    }
    return result;
  }

  /** Carries out a command. They come in order, each once. */
  apply(command: CatalogueCommand): CatalogueOutcome {
    switch (command.kind) {
      case "create":
        return this.#create(command);
      case "delete":
        return this.#delete(command);
      case "removed":
        this.#departing.delete(command.topicId);
        return { kind: "removed" };
    }
  }

  #create(command: CreateCommand): CatalogueOutcome {
    const { name, topicCountMax } = command;
    if (this.#topics.has(name)) return refuse("TOPIC_EXISTS", { topic: name });
    if (this.#topics.size >= topicCountMax) {
      return refuse("TOPIC_LIMIT", { topicCountMax: `${topicCountMax}` });
    }
    this.#lastTimeUs = Math.max(command.clockUs, this.#lastTimeUs);
    const entry: CatalogueEntry = {
      name,
      id: this.#nextTopicId,
      replicaId: this.#nextReplicaId,
      createTimeUs: this.#lastTimeUs,
      settings: command.settings,
    };
    this.#nextTopicId += 1;
    this.#nextReplicaId += 1;
    this.#insert(entry);
    return { kind: "created", entry };
  }

  #delete(command: DeleteCommand): CatalogueOutcome {
    const { name, topicId } = command;
    if (name === DEFAULT_TOPIC_NAME || isServerTopic(name)) {
      return refuse("TOPIC_RESERVED", { topic: name });
    }
    const entry = this.#topics.get(name);
    if (entry === undefined) return refuse("TOPIC_NOT_FOUND", { topic: name });
    if (topicId !== 0 && topicId !== entry.id) {
      return refuse("TOPIC_REPLACED", { topic: name, topicId: `${entry.id}` });
    }
    const departing = { id: entry.id, replicaId: entry.replicaId };
    this.#topics.delete(name);
    this.#namesById.delete(entry.id);
    this.#names.splice(this.#placeOf(name), 1);
    this.#departing.set(departing.id, departing);
    return { kind: "deleted", departing };
  }

  #insert(entry: CatalogueEntry): void {
    this.#names.splice(this.#placeOf(entry.name), 0, entry.name);
    this.#topics.set(entry.name, entry);
    this.#namesById.set(entry.id, entry.name);
  }

  /** Place of the first name that is not before `name`. */
  #placeOf(name: string): number {
    let low = 0;
    let high = this.#names.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#names[middle] ?? "") < name) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /**
   * The state as a checkpoint holds it:
   *
   *     [version u8 = 1][next topic id varint][next replica id varint][last time varint]
   *     [topic count varint] and per topic, by name:
   *         [name][id varint][replica id varint][create time varint][settings]
   *     [departing count varint] and per topic, as they were deleted: [id varint][replica id varint]
   */
  encode(): Uint8Array {
    const writer = new ByteWriter().u8(SNAPSHOT_VERSION);
    writer.varint(this.#nextTopicId).varint(this.#nextReplicaId).varint(this.#lastTimeUs);
    writer.varint(this.#topics.size);
    for (const entry of this.entries()) {
      writer.text(entry.name).varint(entry.id).varint(entry.replicaId).varint(entry.createTimeUs);
      writeSettings(writer, entry.settings);
    }
    writer.varint(this.#departing.size);
    for (const { id, replicaId } of this.#departing.values()) writer.varint(id).varint(replicaId);
    return writer.finish();
  }

  /** Reads what {@link encode} wrote. @throws MalformedBytesError also for an unknown version */
  static decode(bytes: Uint8Array): CatalogueState {
    const reader = new ByteReader(bytes);
    const version = reader.u8();
    if (version !== SNAPSHOT_VERSION) {
      throw new MalformedBytesError(`The catalogue's state has the unknown version ${version}`);
    }
    const state = new CatalogueState();
    state.#nextTopicId = reader.varint();
    state.#nextReplicaId = reader.varint();
    state.#lastTimeUs = reader.varint();
    for (let left = reader.varint(); left > 0; left -= 1) {
      const name = reader.text();
      const id = reader.varint();
      const replicaId = reader.varint();
      const createTimeUs = reader.varint();
      state.#insert({ name, id, replicaId, createTimeUs, settings: readSettings(reader) });
    }
    for (let left = reader.varint(); left > 0; left -= 1) {
      const id = reader.varint();
      state.#departing.set(id, { id, replicaId: reader.varint() });
    }
    if (reader.remaining > 0) {
      throw new MalformedBytesError(`The catalogue has ${reader.remaining} bytes too many`);
    }
    return state;
  }
}

function refuse(reason: Reason, metadata: ErrorMetadata): Refusal {
  return { kind: "refused", reason, metadata };
}
