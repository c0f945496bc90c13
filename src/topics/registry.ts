import { ProglogError } from "../base/errors.ts";
import type { ProposedCatalogueCommand } from "./catalogue-commands.ts";
import type { CatalogueOutcome } from "./catalogue-outcomes.ts";
import type { CatalogueState } from "./catalogue-state.ts";
import type { CatalogueEntry } from "./catalogue-topics.ts";
import { checkKnownTopicName, checkTopicName } from "./names.ts";
import { planTopic } from "./placement.ts";
import type { ClusterLayout } from "./placement-model.ts";
import type { Replicator } from "./replicator.ts";
import { checkSettings, effectiveSettings } from "./settings.ts";
import type { TopicHandle } from "./topic.ts";
import { refusalError, topicNotFound, topicReplaced } from "./topic-errors.ts";
import type {
  EffectiveSettings,
  Topic,
  TopicInfo,
  TopicPage,
  TopicSettingName,
  TopicSettings,
  Topics,
} from "./topics.ts";

/** Memory that a proposal to the catalogue takes. */
export const CATALOGUE_PROPOSAL_BYTES = 1_024;

/** Plans for a new topic, each after the one before was out of date. */
const PLANS_MAX = 3;

/** Who makes and removes replicas as the catalogue says; `cluster/reconciler.ts`. */
export interface TopicHost {
  /** Undefined while the topic's replica is being made. */
  open(topicId: number): TopicHandle | undefined;
  /** Why the topic's replica cannot be opened; undefined when it is not damaged. */
  damage(topicId: number): ProglogError | undefined;
  /**
   * Resolves when the topic's replica is there, or gone, as the catalogue says.
   * Rejects when that cannot be now; for want of room (DISK_FULL) it is tried again.
   */
  settled(topicId: number): Promise<void>;
}

export interface TopicRegistryOptions {
  readonly catalogue: CatalogueState;
  readonly replicator: Replicator<CatalogueOutcome, ProposedCatalogueCommand>;
  readonly host: TopicHost;
  readonly defaults: EffectiveSettings;
  readonly topicCountMax: number;
  /** The servers and what they hold, for the places of a new topic. */
  readonly layout: () => ClusterLayout;
  /** Brings a command to the catalogue, wherever it is led. */
  readonly tell: (command: ProposedCatalogueCommand) => Promise<void>;
  /** Resolves when a new topic has a leader, or that takes too long. */
  readonly led: (topicId: number) => Promise<void>;
}

/** All topics of this server, by name. */
export class TopicRegistry implements Topics {
  readonly #options: TopicRegistryOptions;

  constructor(options: TopicRegistryOptions) {
    this.#options = options;
  }

  topic(name: string, topicId?: number): Topic {
    return this.#handle(name, topicId);
  }

  async create(name: string, settings: TopicSettings): Promise<TopicInfo> {
    checkTopicName(name);
    const checked = checkSettings(settings);
    const { host, led } = this.#options;
    const outcome = await this.#proposeTopic(name, checked);
    if (outcome.kind !== "created") throw refused(outcome, name);
    const { id } = outcome.entry;
    await host
      .settled(id)
      .then(() => led(id))
      .catch(outcomeUnknown);
    return this.#infoOf(outcome.entry);
  }

  async update(
    name: string,
    changes: TopicSettings,
    cleared: readonly TopicSettingName[],
  ): Promise<TopicInfo> {
    const handle = this.#handle(name);
    const info = await handle.update(checkSettings(changes), cleared);
    if (changes.replicationFactor !== undefined || cleared.includes("replicationFactor")) {
      const replicationFactor = info.settings.replicationFactor ?? 0;
      await this.#options.tell({ kind: "target", topicId: info.id, replicationFactor });
    }
    return info;
  }

  async delete(name: string, topicId = 0): Promise<void> {
    checkKnownTopicName(name);
    const { host, catalogue } = this.#options;
    const entry = catalogue.get(name);
    const outcome = await this.#propose({ kind: "delete", name, topicId }, true);
    if (outcome.kind !== "deleted") throw refused(outcome, name);
    const { id } = outcome.entry;
    host.open(id)?.end(topicNotFound(entry?.name ?? name));
    await host.settled(id).catch(outcomeUnknown);
  }

  list(options: {
    readonly prefix?: string;
    readonly after?: string;
    readonly limit: number;
  }): TopicPage {
    const { limit } = options;
    const found = this.#options.catalogue.list({ ...options, limit: limit + 1 });
    const topics = found.slice(0, limit).map((entry) => this.#infoOf(entry));
    return { topics, more: found.length > limit };
  }

  #handle(name: string, topicId?: number): TopicHandle {
    checkKnownTopicName(name);
    const entry = this.#options.catalogue.get(name);
    if (entry === undefined) throw topicNotFound(name);
    if (topicId !== undefined && topicId !== 0 && topicId !== entry.id) {
      throw topicReplaced(name, entry.id, topicId);
    }
    const damage = this.#options.host.damage(entry.id);
    if (damage !== undefined) throw damage;
    // In the catalogue, but its replica is still being made: its creation has not been answered.
    return this.#options.host.open(entry.id) ?? notThereYet(name);
  }

  #infoOf(entry: CatalogueEntry): TopicInfo {
    const { host, defaults } = this.#options;
    const handle = host.open(entry.id);
    if (handle !== undefined) return handle.info;
    const { name, id, createTimeUs, settings } = entry;
    const effective = effectiveSettings(settings, defaults);
    return { name, id, createTimeUs, settings, effectiveSettings: effective };
  }

  /** Plans again where servers came or went between the plan and its turn. */
  async #proposeTopic(name: string, settings: TopicSettings): Promise<CatalogueOutcome> {
    const { layout, defaults, topicCountMax } = this.#options;
    const { replicationFactor } = effectiveSettings(settings, defaults);
    for (let plans = 1; ; plans += 1) {
      const places = planTopic(layout(), replicationFactor);
      const command = { kind: "create", name, topicCountMax, settings, places } as const;
      const outcome = await this.#propose(command);
      const isStale = outcome.kind === "refused" && outcome.reason === "PLACEMENT_STALE";
      if (!isStale || plans === PLANS_MAX) return outcome;
    }
  }

  #propose(command: ProposedCatalogueCommand, makesRoom = false): Promise<CatalogueOutcome> {
    return this.#options.replicator.propose(command, {
      bytes: CATALOGUE_PROPOSAL_BYTES,
      makesRoom,
    });
  }
}

/** Its replica here is being made: whoever waits a moment, or asks another server, finds it. */
function notThereYet(name: string): never {
  throw new ProglogError(
    "NOT_LEADER",
    `Cannot use topic "${name}" yet: its replica is being made`,
    {
      metadata: { topic: name, outcome: "none" },
    },
  );
}

/** The catalogue has changed, its files have not yet. */
function outcomeUnknown(error: unknown): never {
  const { reason, message, metadata } =
    error instanceof ProglogError
      ? error
      : new ProglogError("INTERNAL", "The server met a defect while it changed its topics");
  throw new ProglogError(reason, message, {
    metadata: { ...metadata, outcome: "unknown" },
    cause: error,
  });
}

function refused(outcome: CatalogueOutcome, name: string): ProglogError {
  if (outcome.kind === "refused") return refusalError(outcome, name);
  return new ProglogError("INTERNAL", `A command about topic "${name}" had a foreign outcome`);
}
