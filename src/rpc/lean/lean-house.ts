import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/log.ts";
import type { ErrorMap } from "../error-map.ts";
import type { RpcLimits } from "../limits.ts";
import type { SilenceWatch } from "./silence-watch.ts";

/** What all calls on the lean path share. */
export interface LeanHouse {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: RpcLimits;
  readonly errors: ErrorMap;
  readonly silence: SilenceWatch;
}
