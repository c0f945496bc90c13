import type { DescService } from "@bufbuild/protobuf";
import type { Clock } from "../base/clock.ts";
import { ServerReflection } from "../gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ServerReflectionAlpha } from "../gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { Health } from "../gen/health/v1/health_pb.ts";
import { Log } from "../gen/log/v1/log_pb.ts";
import { ClusterService } from "../gen/proglog/v1/cluster_service_pb.ts";
import { LogService } from "../gen/proglog/v1/log_service_pb.ts";
import { TopicService } from "../gen/proglog/v1/topic_service_pb.ts";
import type { Call } from "./call.ts";
import { ClusterServiceHandlers } from "./cluster-service.ts";
import type { ErrorMap } from "./error-map.ts";
import { Forwarding } from "./forward/forwarding.ts";
import type { Router } from "./forward/router.ts";
import {
  APPEND,
  FROM_PLACE,
  type NamesTopicFirst,
  OF_END,
  type Rule,
  SEED_READ,
  SEED_WRITE,
  TO_CATALOGUE,
  TO_LEADER,
} from "./forward/rules.ts";
import { Guard } from "./guard.ts";
import { HealthHandlers } from "./health-service.ts";
import { leanLogService } from "./hot/log-service.ts";
import { leanSeedService } from "./hot/seed-log-service.ts";
import type { RpcLimits } from "./limits.ts";
import { LogServiceHandlers } from "./log-service.ts";
import type { ServedService } from "./method-routes.ts";
import type { PeerServer } from "./peer/peer-server.ts";
import { peerService } from "./peer/peer-service.ts";
import { MESSAGE_CODEC, type RecordCodec, WIRE_CODEC } from "./record-codec.ts";
import { ReflectionHandlers } from "./reflection-service.ts";
import { SeedLogHandlers } from "./seed-log-service.ts";
import type { ServingState } from "./serving-state.ts";
import { type ServerSelf, TopicServiceHandlers } from "./topic-service.ts";
import type { TopicsSource } from "./topics-source.ts";
import { WireLogService } from "./wire-twin.ts";

export interface ServiceOptions {
  readonly topics: TopicsSource;
  readonly router: Router;
  readonly state: ServingState;
  readonly limits: RpcLimits;
  readonly clock: Clock;
  readonly errors: ErrorMap;
  readonly self: () => ServerSelf | undefined;
  readonly reflection: boolean;
  /** What other servers of the cluster call; absent: they are not served. */
  readonly peers?: PeerServer | undefined;
}

/** Our own services; health knows their names. */
const PUBLIC_SERVICES = [LogService, TopicService, ClusterService, Log] as const;

/** Everything this server answers. */
export function makeServices(options: ServiceOptions): readonly ServedService[] {
  const guard = new Guard(options.errors);
  const services = [
    logService(options, guard),
    topicService(options, guard),
    clusterService(options, guard),
    seedLogService(options, guard),
    healthService(options, guard),
    ...(options.peers === undefined ? [] : [peerService(options.peers)]),
  ];
  return options.reflection ? [...services, ...reflectionServices(options, guard)] : services;
}

function logService(options: ServiceOptions, guard: Guard): ServedService {
  const implement = <Sent, Returned>(desc: DescService, codec: RecordCodec<Sent, Returned>) => {
    const handlers = new LogServiceHandlers(options, codec);
    const forwarding = new Forwarding(options, desc);
    return {
      produce: guard.unary(forwarding.unary("produce", APPEND, handlers.produce.bind(handlers))),
      produceStream: guard.stream(
        forwarding.bidi(
          "produceStream",
          ({ batches }: NamesTopicFirst) => batches[0]?.topic,
          handlers.produceStream.bind(handlers),
        ),
      ),
      openProducer: guard.unary(
        forwarding.unary("openProducer", TO_LEADER, handlers.openProducer.bind(handlers)),
      ),
      consume: guard.unary(
        forwarding.unary("consume", FROM_PLACE, handlers.consume.bind(handlers)),
      ),
      consumeStream: guard.stream(
        forwarding.serverStream("consumeStream", FROM_PLACE, handlers.consumeStream.bind(handlers)),
      ),
    };
  };
  return {
    desc: LogService,
    implementation: implement(LogService, MESSAGE_CODEC),
    wire: { desc: WireLogService, implementation: implement(WireLogService, WIRE_CODEC) },
    strictJson: ["produce", "produceStream"],
    lean: leanLogService(options),
    endsWithDrain: true,
  };
}

function topicService(options: ServiceOptions, guard: Guard): ServedService {
  const handlers = new TopicServiceHandlers(options.topics, options.self);
  const forwarding = new Forwarding(options, TopicService);
  return {
    desc: TopicService,
    implementation: {
      createTopic: guard.unary(
        forwarding.unary("createTopic", TO_CATALOGUE, handlers.createTopic.bind(handlers)),
      ),
      getTopic: guard.unary(forwarding.unary("getTopic", OF_END, handlers.getTopic.bind(handlers))),
      listTopics: guard.unary(handlers.listTopics.bind(handlers)),
      updateTopic: guard.unary(
        forwarding.unary("updateTopic", TO_LEADER, handlers.updateTopic.bind(handlers)),
      ),
      deleteTopic: guard.unary(
        forwarding.unary("deleteTopic", TO_CATALOGUE, handlers.deleteTopic.bind(handlers)),
      ),
      trimTopic: guard.unary(
        forwarding.unary("trimTopic", TO_LEADER, handlers.trimTopic.bind(handlers)),
      ),
      findOffset: guard.unary(
        forwarding.unary("findOffset", OF_END, handlers.findOffset.bind(handlers)),
      ),
    },
    endsWithDrain: true,
  };
}

function clusterService(options: ServiceOptions, guard: Guard): ServedService {
  const handlers = new ClusterServiceHandlers(options.topics);
  const forwarding = new Forwarding(options, ClusterService);
  const change = <Request, Response>(
    name: string,
    handler: (request: Request, call: Call) => Promise<Response>,
    rule: Rule<Request> = TO_CATALOGUE,
  ) => guard.unary(forwarding.unary(name, rule, handler));
  return {
    desc: ClusterService,
    implementation: {
      getStatus: guard.unary(handlers.getStatus.bind(handlers)),
      listServers: guard.unary(handlers.listServers.bind(handlers)),
      listReplicas: guard.unary(
        forwarding.preferLeader("listReplicas", handlers.listReplicas.bind(handlers)),
      ),
      addServer: change("addServer", handlers.addServer.bind(handlers)),
      updateServer: change("updateServer", handlers.updateServer.bind(handlers)),
      removeServer: change("removeServer", handlers.removeServer.bind(handlers)),
      transferLeadership: change(
        "transferLeadership",
        handlers.transferLeadership.bind(handlers),
        TO_LEADER,
      ),
      moveReplica: change("moveReplica", handlers.moveReplica.bind(handlers)),
      rebalance: change("rebalance", handlers.rebalance.bind(handlers)),
    },
    endsWithDrain: true,
  };
}

function seedLogService(options: ServiceOptions, guard: Guard): ServedService {
  const handlers = new SeedLogHandlers(options.topics);
  const forwarding = new Forwarding(options, Log);
  return {
    desc: Log,
    implementation: {
      produce: guard.unary(
        forwarding.unary("produce", SEED_WRITE, handlers.produce.bind(handlers)),
      ),
      consume: guard.unary(forwarding.unary("consume", SEED_READ, handlers.consume.bind(handlers))),
    },
    lean: leanSeedService(options),
    endsWithDrain: true,
  };
}

function healthService(options: ServiceOptions, guard: Guard): ServedService {
  const names = PUBLIC_SERVICES.map(({ typeName }) => typeName);
  const handlers = new HealthHandlers(options.state, names);
  return {
    desc: Health,
    implementation: {
      check: guard.unary(handlers.check.bind(handlers)),
      list: guard.unary(handlers.list.bind(handlers)),
      watch: guard.stream(handlers.watch.bind(handlers)),
    },
    endsWithDrain: false,
  };
}

function reflectionServices(options: ServiceOptions, guard: Guard): readonly ServedService[] {
  const versions = [ServerReflection, ServerReflectionAlpha] as const;
  const handlers = new ReflectionHandlers(
    [...PUBLIC_SERVICES, Health, ...versions],
    options.state.draining,
  );
  const implementation = {
    serverReflectionInfo: guard.stream(handlers.serverReflectionInfo.bind(handlers)),
  };
  return versions.map((desc) => ({ desc, implementation, endsWithDrain: false }));
}
