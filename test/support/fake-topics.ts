import { ProglogError } from "../../src/base/errors.ts";
import { checkKnownTopicName, checkTopicName } from "../../src/topics/names.ts";
import { changeSettings, checkSettings } from "../../src/topics/settings.ts";
import type {
  TopicInfo,
  TopicPage,
  TopicSettingName,
  TopicSettings,
  Topics,
} from "../../src/topics/topics.ts";
import { FakeTopic, notFound } from "./fake-topic.ts";

/** Topics in memory, for tests of the API: no disk, no journal, but the contract of topics.ts. */
export class FakeTopics implements Topics {
  readonly #topics = new Map<string, FakeTopic>();
  #lastId = 0;

  constructor() {
    this.#make("default", {});
  }

  topic(name: string, topicId?: number): FakeTopic {
    checkKnownTopicName(name);
    const found = this.#topics.get(name);
    if (found === undefined) throw notFound(name);
    if (topicId !== undefined && topicId !== found.info.id) {
      throw new ProglogError(
        "TOPIC_REPLACED",
        `Topic "${name}" is not the one with id ${topicId}`,
        {
          metadata: { topic: name, topicId: `${found.info.id}` },
        },
      );
    }
    return found;
  }

  async create(name: string, settings: TopicSettings): Promise<TopicInfo> {
    checkTopicName(name);
    const checked = checkSettings(settings);
    if (this.#topics.has(name)) {
      throw new ProglogError("TOPIC_EXISTS", `Topic "${name}" exists`, {
        metadata: { topic: name },
      });
    }
    return this.#make(name, checked).info;
  }

  async update(
    name: string,
    changes: TopicSettings,
    cleared: readonly TopicSettingName[],
  ): Promise<TopicInfo> {
    const topic = this.topic(name);
    topic.change(changeSettings(topic.info.settings, checkSettings(changes), cleared));
    return topic.info;
  }

  async delete(name: string, topicId?: number): Promise<void> {
    const topic = this.topic(name, topicId);
    if (name === "default") {
      throw new ProglogError("TOPIC_RESERVED", "Cannot delete the topic default", {
        metadata: { topic: name },
      });
    }
    this.#topics.delete(name);
    topic.end();
  }

  list(options: { prefix?: string; after?: string; limit: number }): TopicPage {
    const { prefix = "", after = "", limit } = options;
    const names = [...this.#topics.keys()].filter((name) => name.startsWith(prefix)).toSorted();
    const rest = names.filter((name) => name > after);
    return {
      topics: rest.slice(0, limit).map((name) => this.topic(name).info),
      more: rest.length > limit,
    };
  }

  #make(name: string, settings: TopicSettings): FakeTopic {
    this.#lastId += 1;
    const topic = new FakeTopic(name, this.#lastId, settings);
    this.#topics.set(name, topic);
    return topic;
  }
}
