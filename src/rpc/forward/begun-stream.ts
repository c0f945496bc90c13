/** A client's stream whose beginning was looked at: it says which topic all of it is about. */
export interface BegunStream<Item> {
  /** Undefined: it names none, and ends or cannot be read. */
  readonly topic: string | undefined;
  /** What was taken of it. */
  readonly first: readonly Item[];
  /** The whole stream, or what follows; call one of them, once. */
  all(): AsyncIterable<Item>;
  rest(): AsyncIterable<Item>;
}

/**
 * Takes items until one names a topic.
 * @param topicIn undefined: the item names none; "": nor will those that follow
 * @throws what the stream throws
 */
export async function beginOf<Item>(
  stream: AsyncIterable<Item>,
  topicIn: (item: Item) => string | undefined,
): Promise<BegunStream<Item>> {
  const items = stream[Symbol.asyncIterator]();
  const first: Item[] = [];
  let topic: string | undefined;
  while (topic === undefined) {
    const next = await items.next();
    if (next.done === true) break;
    first.push(next.value);
    topic = topicIn(next.value);
  }
  return {
    topic: topic === "" ? undefined : topic,
    first,
    all: () => new Following(first, items),
    rest: () => new Following([], items),
  };
}

/** Items, and then those of an iterator. Adds nothing to what the iterator costs. */
class Following<Item> implements AsyncIterableIterator<Item> {
  readonly #first: Item[];
  readonly #rest: AsyncIterator<Item>;

  constructor(first: readonly Item[], rest: AsyncIterator<Item>) {
    this.#first = [...first];
    this.#rest = rest;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<Item>> {
    const item = this.#first.shift();
    if (item === undefined) return this.#rest.next();
    return Promise.resolve({ done: false, value: item });
  }

  async return(): Promise<IteratorResult<Item>> {
    await this.#rest.return?.();
    return { done: true, value: undefined };
  }
}
