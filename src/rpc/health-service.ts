import type { MessageInitShape } from "@bufbuild/protobuf";
import { onAbort } from "../base/abortable.ts";
import { ProglogError } from "../base/errors.ts";
import {
  type HealthCheckRequest,
  type HealthCheckResponseSchema,
  type HealthListResponseSchema,
  HealthCheckResponse_ServingStatus as Status,
} from "../gen/health/v1/health_pb.ts";
import type { Call } from "./call.ts";
import type { ServingState } from "./serving-state.ts";
import { Wakeup } from "./wakeup.ts";

type Answer = MessageInitShape<typeof HealthCheckResponseSchema>;

/** `grpc.health.v1.Health`: all our services are well or none is. */
export class HealthHandlers {
  readonly #state: ServingState;
  readonly #services: ReadonlySet<string>;

  /** @param services names that are known beside "", which is the whole server */
  constructor(state: ServingState, services: readonly string[]) {
    this.#state = state;
    this.#services = new Set(["", ...services]);
  }

  check({ service }: HealthCheckRequest): Answer {
    if (!this.#services.has(service)) throw serviceNotFound(service);
    return { status: this.#status() };
  }

  list(): MessageInitShape<typeof HealthListResponseSchema> {
    const status = this.#status();
    return {
      statuses: Object.fromEntries([...this.#services].map((name) => [name, { status }])),
    };
  }

  /** The status now, and each time it changes; after the last change, a drain, the stream ends. */
  async *watch({ service }: HealthCheckRequest, call: Call): AsyncGenerator<Answer> {
    const changed = new Wakeup();
    const unsubscribe = [this.#state.subscribe(changed.wake), onAbort(call.signal, changed.wake)];
    try {
      let told: Status | undefined;
      while (!call.signal.aborted) {
        const status = this.#services.has(service) ? this.#status() : Status.SERVICE_UNKNOWN;
        if (status !== told) yield { status };
        told = status;
        this.#state.draining.throwIfAborted();
        await changed.wait();
      }
      throw call.signal.reason;
    } finally {
      for (const end of unsubscribe) end();
    }
  }

  #status(): Status {
    return this.#state.isServing ? Status.SERVING : Status.NOT_SERVING;
  }
}

function serviceNotFound(service: string): ProglogError {
  return new ProglogError(
    "SERVICE_NOT_FOUND",
    `Cannot tell how service "${service}" is: there is none of that name`,
    { metadata: { service } },
  );
}
