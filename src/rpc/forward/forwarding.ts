import {
  create,
  type DescMethod,
  type DescService,
  fromBinary,
  type Message,
  toBinary,
} from "@bufbuild/protobuf";
import { assert } from "../../base/assert.ts";
import type { TopicNeed } from "../../cluster/cluster-view.ts";
import { LeaderHintSchema } from "../../gen/proglog/v1/record_pb.ts";
import type { Call } from "../call.ts";
import type { ServingState } from "../serving-state.ts";
import type { TopicsSource } from "../topics-source.ts";
import { beginOf } from "./begun-stream.ts";
import { toLeaderHint } from "./leader-hint.ts";
import { Relay } from "./relay.ts";
import type { Router } from "./router.ts";
import type { Rule } from "./rules.ts";

export interface ForwardingOptions {
  readonly router: Router;
  readonly topics: TopicsSource;
  readonly state: ServingState;
}

/**
 * Methods of the library's way in, which serve a call here or have another server serve it. Its
 * message is decoded already, so it is encoded again for the other server.
 */
export class Forwarding {
  readonly #options: ForwardingOptions;
  readonly #desc: DescService;

  /** @param desc of the service; its methods go by their local names here */
  constructor(options: ForwardingOptions, desc: DescService) {
    this.#options = options;
    this.#desc = desc;
  }

  unary<Request, Response>(
    name: string,
    rule: Rule<Request>,
    handler: (request: Request, call: Call, need: TopicNeed) => Promise<Response>,
  ): (request: Request, call: Call) => Promise<Response> {
    const method = this.#method(name);
    const { router, topics } = this.#options;
    return async (request, call) => {
      await topics.get(call);
      const { isWrite } = rule;
      return await router.serve<Response>({
        call,
        topic: rule.topic(request),
        need: rule.need(request),
        isWrite,
        here: (need) => handler(request, call, need),
        there: async (place, hop) => {
          const answer = decode<Response & Message>(
            method,
            await hop.unary(place, call, encode(method, request)),
          );
          return rule.tellsLeader === true
            ? Object.assign(answer, { leaderHint: create(LeaderHintSchema, toLeaderHint(place)) })
            : answer;
        },
      });
    };
  }

  /** @param begin does what may be done elsewhere too, then gives the stream */
  serverStream<Request, Response>(
    name: string,
    rule: Rule<Request>,
    begin: (request: Request, call: Call, need: TopicNeed) => Promise<AsyncIterable<Response>>,
  ): (request: Request, call: Call) => AsyncGenerator<Response> {
    const method = this.#method(name);
    const { router, state, topics } = this.#options;
    const { draining } = state;
    return async function* (request, call) {
      await topics.get(call);
      const topic = rule.topic(request);
      const { isWrite } = rule;
      yield* await router.serve<AsyncIterable<Response>>({
        call,
        topic,
        need: rule.need(request),
        isWrite,
        here: (need) => begin(request, call, need),
        there: async (place, hop) => {
          const options = { call, topic, place, isWrite, draining, isWhole: true };
          const relay = await Relay.open(hop, [encode(method, request)], options);
          relay.endWithDrain();
          return relayed(method, relay);
        },
      });
    };
  }

  /**
   * For writes, all to one topic.
   * @param topicIn as `beginOf` has it
   */
  bidi<Request, Response>(
    name: string,
    topicIn: (request: Request) => string | undefined,
    handler: (requests: AsyncIterable<Request>, call: Call) => AsyncIterable<Response>,
  ): (requests: AsyncIterable<Request>, call: Call) => AsyncGenerator<Response> {
    const method = this.#method(name);
    const { router, state, topics } = this.#options;
    const { draining } = state;
    return async function* (requests, call) {
      await topics.get(call);
      const begun = await beginOf(requests, topicIn);
      const here = async () => handler(begun.all(), call);
      const { topic } = begun;
      if (topic === undefined) yield* await here();
      else {
        const about = { call, topic, isWrite: true };
        yield* await router.serve<AsyncIterable<Response>>({
          ...about,
          need: "leader",
          here,
          there: async (place, hop) => {
            const messages = begun.first.map((request) => encode(method, request));
            const options = { ...about, place, draining, isWhole: false };
            const relay = await Relay.open(hop, messages, options);
            void relay.feed(encoded(method, begun.rest(), call));
            return relayed(method, relay);
          },
        });
      }
    };
  }

  /** For questions that every server answers, and the leader best. @param ask asks it */
  preferLeader<Request, Response>(
    name: string,
    handler: (
      request: Request,
      call: Call,
      ask: (topic: string) => Promise<Response | undefined>,
    ) => Promise<Response>,
  ): (request: Request, call: Call) => Promise<Response> {
    const method = this.#method(name);
    const { router } = this.#options;
    return (request, call) =>
      handler(request, call, (topic) =>
        router.askLeader(topic, call, async (place, hop) =>
          decode<Response>(method, await hop.unary(place, call, encode(method, request))),
        ),
      );
  }

  #method(name: string): DescMethod {
    const method = this.#desc.method[name];
    assert(method !== undefined, `No method ${name} in ${this.#desc.typeName}`);
    return method;
  }
}

function encode(method: DescMethod, request: unknown): Uint8Array {
  return toBinary(method.input, request as Message);
}

function decode<Response>(method: DescMethod, bytes: Uint8Array): Response {
  return fromBinary(method.output, bytes) as Response;
}

async function* relayed<Response>(method: DescMethod, relay: Relay): AsyncGenerator<Response> {
  try {
    for (;;) {
      const message = await relay.next();
      if (message === undefined) return;
      yield decode<Response>(method, message);
    }
  } finally {
    relay.close();
  }
}

async function* encoded<Request>(
  method: DescMethod,
  rest: AsyncIterable<Request>,
  call: Call,
): AsyncGenerator<readonly Uint8Array[]> {
  for await (const request of rest) {
    yield [encode(method, request)];
    // It is on its way, or waits in its turn.
    call.releaseBody();
  }
}
