import type { Abortable } from "../base/abortable.ts";
import type { Topic, Topics } from "../topics/topics.ts";
import { topicOf } from "./consume-request.ts";
import { fieldError } from "./fields.ts";
import type { RpcLimits } from "./limits.ts";
import type { PipelineOptions } from "./produce-pipeline.ts";
import type { ServingState } from "./serving-state.ts";

/** The topic of a stream of batches: the first one names it, later ones repeat it or say nothing. */
export class TopicOfStream {
  readonly #topics: Topics;
  #name = "";

  constructor(topics: Topics) {
    this.#topics = topics;
  }

  /** @throws FIELD_INVALID when the batch names another; as `topicOf` */
  topicOf(batch: { readonly topic: string; readonly topicId: bigint | number }): Topic {
    const { topic: named, topicId } = batch;
    if (this.#name === "") this.#name = named;
    if (named !== "" && named !== this.#name) {
      throw fieldError(
        "batches.topic",
        `it is "${named}", must be "${this.#name}" as in the first batch`,
      );
    }
    return topicOf(this.#topics, { topic: this.#name, topicId });
  }
}

/** How much of a stream may be under way, and what ends it. */
export function pipelineOptions(
  { limits, state }: { readonly limits: RpcLimits; readonly state: ServingState },
  call: Abortable,
): Omit<PipelineOptions<never>, "submit"> {
  return {
    batchesMax: limits.pipelineBatchesMax,
    bytesMax: limits.pipelineBytesMax,
    call,
    draining: state.draining,
  };
}
