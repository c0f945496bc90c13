import { ConnectError } from "@connectrpc/connect";
import type { Clock } from "../../base/clock.ts";
import { ProglogError } from "../../base/errors.ts";
import type {
  ClusterView,
  LeaderPlace,
  TopicNeed,
  TopicRoute,
} from "../../cluster/cluster-view.ts";
import { checkKnownTopicName } from "../../topics/names.ts";
import type { Call } from "../call.ts";
import type { TopicsSource } from "../topics-source.ts";
import type { Hop } from "./hop.ts";
import {
  FORWARDED_HEADER,
  HopFailure,
  hopError,
  isLateBySilence,
  isMoved,
  leaderIn,
  notLeader,
  toldBy,
  toOutcome,
} from "./hop-failure.ts";
import { Search } from "./search.ts";

/** A call on a topic, and how it is served. */
export interface Errand<T> {
  readonly call: Call;
  readonly topic: string;
  readonly need: TopicNeed;
  /** Whether it changes something: then it is not made twice when nobody knows what came of it. */
  readonly isWrite: boolean;
  /** Serves it here. With the need "leader" a read is to confirm that it sees all. */
  readonly here: (need: TopicNeed) => Promise<T>;
  /** Has another server serve it. @throws HopFailure; the other server's error as a ConnectError */
  readonly there: (place: LeaderPlace, hop: Hop) => Promise<T>;
}

export interface RouterOptions {
  readonly topics: TopicsSource;
  readonly hop: Hop;
  readonly clock: Clock;
  readonly draining: AbortSignal;
}

/**
 * Takes calls to who can serve them: this server, or the leader of their topic. Without a cluster
 * everything is here.
 */
export class Router {
  readonly #options: RouterOptions;

  constructor(options: RouterOptions) {
    this.#options = options;
  }

  /** Whether a call is to go by {@link run}. Cheap; ask when the topics are ready. */
  isElsewhere(topic: string, need: TopicNeed): boolean {
    const { cluster } = this.#options.topics;
    return cluster !== undefined && cluster.routeTopic(topic, need).kind !== "here";
  }

  /** Whether a call that failed here is to go by {@link run}, with its error. */
  mayServe(thrown: unknown, need: TopicNeed): boolean {
    if (this.#options.topics.cluster === undefined) return false;
    const told = toldBy(thrown);
    return isDeposed(told) || isStale(told) || (need === "replica" && isBeyondEnd(told));
  }

  /** As {@link run}, for a call that is most likely to be served here. */
  async serve<T>(errand: Errand<T>): Promise<T> {
    if (this.isElsewhere(errand.topic, errand.need)) return await this.run(errand);
    try {
      return await errand.here(errand.need);
    } catch (thrown) {
      if (!this.mayServe(thrown, errand.need)) throw thrown;
      return await this.run(errand, { thrown });
    }
  }

  /** What the topic's leader answers; undefined when it is this server, or cannot be asked. */
  async askLeader<T>(
    topic: string,
    call: Call,
    ask: (place: LeaderPlace, hop: Hop) => Promise<T>,
  ): Promise<T | undefined> {
    const { hop, topics } = this.#options;
    const route = topics.cluster?.routeTopic(topic, "leader");
    if (route?.kind !== "there" || call.headers[FORWARDED_HEADER] !== undefined) return undefined;
    try {
      return await ask(route.leader, hop);
    } catch (thrown) {
      if (call.reason !== undefined) throw call.reason;
      if (thrown instanceof HopFailure || isMoved(toldBy(thrown))) return undefined;
      throw thrown;
    }
  }

  /**
   * Serves a call where it can be served; waits when nobody leads its topic.
   *
   * @param failed the call was tried here, and this was thrown
   * @throws NOT_LEADER for a call that was forwarded already; NO_QUORUM when no leader was found in
   *   time; what the server said that served it
   */
  async run<T>(errand: Errand<T>, failed?: { readonly thrown: unknown }): Promise<T> {
    const { cluster } = this.#options.topics;
    if (cluster === undefined) return await errand.here(errand.need);
    const journey = new Journey(errand, cluster, this.#options);
    try {
      return await journey.go(failed);
    } catch (thrown) {
      if (thrown instanceof ConnectError) errand.call.failedWith(thrown, toOutcome(thrown));
      throw thrown;
    }
  }
}

/** One call on its way. Each step serves it, or finds out why it could not be. */
class Journey<T> {
  readonly #errand: Errand<T>;
  readonly #view: ClusterView;
  readonly #hop: Hop;
  readonly #search: Search;
  readonly #isForwarded: boolean;
  #need: TopicNeed;
  /** The catalogue here is as new as the call. */
  #isConfirmed = false;
  /** A leader that another server told of, newer than what is known here. */
  #told: LeaderPlace | undefined;
  /** Of the leader that was tried last. */
  #term = 0;

  constructor(errand: Errand<T>, view: ClusterView, options: RouterOptions) {
    const { call, topic, need } = errand;
    const { clock, draining, hop } = options;
    this.#errand = errand;
    this.#view = view;
    this.#hop = hop;
    this.#need = need;
    this.#search = new Search({ call, topic, clock, draining });
    this.#isForwarded = call.headers[FORWARDED_HEADER] !== undefined;
  }

  async go(failed: { readonly thrown: unknown } | undefined): Promise<T> {
    if (failed !== undefined) await this.#afterHere(failed.thrown);
    for (;;) {
      const served = await this.#step(this.#route());
      if (served !== undefined) return served.answer;
    }
  }

  #route(): TopicRoute {
    const told = this.#told;
    this.#told = undefined;
    if (told !== undefined) return { kind: "there", leader: told };
    return this.#view.routeTopic(this.#errand.topic, this.#need);
  }

  async #step(route: TopicRoute): Promise<{ readonly answer: T } | undefined> {
    switch (route.kind) {
      case "here":
        return await this.#serveHere();
      case "there":
        return await this.#serveThere(route.leader);
      case "missing":
        if (this.#isConfirmed) return { answer: await this.#errand.here(this.#need) };
        checkKnownTopicName(this.#errand.topic);
        this.#isConfirmed = await this.#search.confirm(this.#view);
        return undefined;
      case "unknown":
        if (this.#isForwarded) throw notLeader(this.#errand.topic, undefined);
        await this.#search.change(this.#view);
        return undefined;
    }
  }

  async #serveHere(): Promise<{ readonly answer: T } | undefined> {
    try {
      return { answer: await this.#errand.here(this.#need) };
    } catch (thrown) {
      await this.#afterHere(thrown);
      return undefined;
    }
  }

  /** @throws what was thrown, when there is nothing to be done about it */
  async #afterHere(thrown: unknown): Promise<void> {
    const told = toldBy(thrown);
    if (this.#need === "replica" && isBeyondEnd(told)) {
      this.#need = "leader"; // only who leads can say so
    } else if (!this.#isConfirmed && isStale(told)) {
      this.#isConfirmed = await this.#search.confirm(this.#view);
    } else if (isDeposed(told)) {
      if (this.#isForwarded) throw this.#notLeaderNow();
      await this.#search.pause(this.#view, thrown);
    } else {
      throw thrown;
    }
  }

  async #serveThere(place: LeaderPlace): Promise<{ readonly answer: T } | undefined> {
    const { call, isWrite, topic } = this.#errand;
    if (this.#isForwarded) throw notLeader(topic, this.#need === "leader" ? place : undefined);
    if (place.nodeId === this.#view.nodeId) {
      await this.#search.pause(this.#view, undefined); // which others know before we do
      return undefined;
    }
    this.#term = Math.max(this.#term, place.term);
    try {
      return { answer: await this.#errand.there(place, this.#hop) };
    } catch (thrown) {
      const isBroken = thrown instanceof HopFailure && thrown.isSent;
      const isUnsent = thrown instanceof HopFailure && !thrown.isSent;
      // Only what was never sent is known to be undone.
      if (call.reason !== undefined) {
        if (isLateBySilence(thrown, call.reason)) throw hopError({ topic, place, isWrite }, thrown);
        throw givenUp(call.reason, isWrite && !isUnsent);
      }
      if (isBroken && isWrite) throw hopError({ topic, place, isWrite }, thrown);
      await this.#afterThere(thrown);
      return undefined;
    }
  }

  async #afterThere(thrown: unknown): Promise<void> {
    const told = toldBy(thrown);
    if (!(thrown instanceof HopFailure) && !isMoved(told)) throw thrown;
    this.#need = "leader"; // of several replicas another one was meant
    const leader = told && leaderIn(told);
    if (leader !== undefined && leader.term > this.#term) this.#told = leader;
    else await this.#search.pause(this.#view, thrown);
  }

  #notLeaderNow(): ProglogError {
    const { topic } = this.#errand;
    const route = this.#view.routeTopic(topic, "leader");
    return notLeader(topic, route.kind === "there" ? route.leader : undefined);
  }
}

type Told = ReturnType<typeof toldBy>;

/** The topic was led here when the call was routed. */
function isDeposed(told: Told): boolean {
  return told?.reason === "NOT_LEADER" && isMoved(told);
}

function isBeyondEnd(told: Told): boolean {
  return told?.reason === "OFFSET_OUT_OF_RANGE" || told?.reason === "OFFSET_NOT_FOUND";
}

/** What may be so only because the catalogue here is behind. */
function isStale(told: Told): boolean {
  const isAbout = told?.reason === "TOPIC_NOT_FOUND" || told?.reason === "TOPIC_REPLACED";
  return isAbout && told.metadata["outcome"] !== "unknown";
}

function givenUp(reason: ProglogError, isUnknown: boolean): ProglogError {
  return new ProglogError(reason.reason, reason.message, {
    metadata: { ...reason.metadata, outcome: isUnknown ? "unknown" : "none" },
    cause: reason,
  });
}
