import type { ByteReader, ByteWriter } from "../base/bytes.ts";
import { type GroupPlacement, readGroup, writeGroup } from "./group-placement.ts";
import { readSettings, writeSettings } from "./settings.ts";
import type { TopicSettings } from "./topics.ts";

/** A topic as the catalogue knows it. */
export interface CatalogueEntry extends GroupPlacement {
  readonly name: string;
  readonly id: number;
  readonly createTimeUs: number;
  /** Where its own state begins; what was set since is in that state. */
  readonly settings: TopicSettings;
  /** How many servers shall hold it: follows the topic's own setting. 0: the server's default. */
  readonly replicationFactor: number;
}

/**
 * Bytes: `[name][id varint][create time varint][settings: see writeSettings][replication factor varint]`
 * and the placement, see writeGroup.
 */
export function writeEntry(writer: ByteWriter, entry: CatalogueEntry): void {
  writer.text(entry.name).varint(entry.id).varint(entry.createTimeUs);
  writeSettings(writer, entry.settings);
  writeGroup(writer.varint(entry.replicationFactor), entry);
}

export function readEntry(reader: ByteReader): CatalogueEntry {
  const name = reader.text();
  const id = reader.varint();
  const createTimeUs = reader.varint();
  const settings = readSettings(reader);
  const replicationFactor = reader.varint();
  return { name, id, createTimeUs, settings, replicationFactor, ...readGroup(reader) };
}

/** The catalogue's topics, by name and by id. */
export class TopicTable {
  readonly #topics = new Map<string, CatalogueEntry>();
  readonly #namesById = new Map<number, string>();
  /** Of `#topics`, in order: a page is a slice. */
  readonly #names: string[] = [];

  get size(): number {
    return this.#topics.size;
  }

  get(name: string): CatalogueEntry | undefined {
    return this.#topics.get(name);
  }

  byId(topicId: number): CatalogueEntry | undefined {
    const name = this.#namesById.get(topicId);
    return name === undefined ? undefined : this.#topics.get(name);
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

  /** Adds a topic, or puts it in the place of the one of that name, which has its id. */
  set(entry: CatalogueEntry): void {
    const { name, id } = entry;
    if (!this.#topics.has(name)) this.#names.splice(this.#placeOf(name), 0, name);
    this.#topics.set(name, entry);
    this.#namesById.set(id, name);
  }

  delete({ name, id }: CatalogueEntry): void {
    this.#topics.delete(name);
    this.#namesById.delete(id);
    this.#names.splice(this.#placeOf(name), 1);
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
}
