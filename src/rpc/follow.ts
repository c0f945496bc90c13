import type { Topic } from "../topics/topics.ts";
import type { Portion } from "./read-topic.ts";
import { type TailOptions, TopicTail } from "./topic-tail.ts";

/**
 * Records from an offset on, and then those still to come, as a {@link TopicTail} gives
 * them. Reads on only when the last portion was taken.
 */
export async function* follow(topic: Topic, options: TailOptions): AsyncGenerator<Portion> {
  const tail = new TopicTail(topic, options);
  try {
    for (let found = await tail.next(); found !== undefined; found = await tail.next()) {
      yield found;
    }
  } finally {
    tail.close();
  }
}
