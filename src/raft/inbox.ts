import { CoreMessageType } from "./core.ts";
import type { CoreDriver } from "./core-driver.ts";
import { messageEntries, messageType } from "./core-messages.ts";
import { describedBytes } from "./entry-kinds.ts";
import type { Hibernation } from "./hibernation.ts";
import type { LogTail } from "./log-tail.ts";
import type { NodeGroup, RaftNode } from "./raft-node.ts";
import type { Snapshots } from "./snapshots.ts";
import type { RaftEnvelope } from "./transport.ts";

export interface InboxParts {
  readonly node: RaftNode;
  readonly group: NodeGroup;
  readonly tail: Pick<LogTail<unknown>, "isOver">;
  readonly snapshots: Snapshots;
  readonly hibernation: Hibernation;
}

type Driver = Pick<CoreDriver<unknown>, "with" | "drain" | "isStored" | "stepAppend">;

/** Takes what other replicas of the group send. */
export class Inbox {
  readonly #parts: InboxParts;

  constructor(parts: InboxParts) {
    this.#parts = parts;
  }

  take(driver: Driver, fromNode: string, envelope: RaftEnvelope): void {
    const { snapshots, hibernation } = this.#parts;
    const { fromReplica, message, isQuiesce } = envelope;
    const type = messageType(message);
    this.#wake(type, isQuiesce === true);
    if (type === CoreMessageType.append) this.#append(driver, envelope);
    else if (type === CoreMessageType.snapshot)
      snapshots.offered(message, { fromNode, fromReplica });
    else driver.with((core) => core.step(message));
    if (type === CoreMessageType.appendResponse) snapshots.answered(fromReplica);
    if (isQuiesce !== true) return;
    driver.drain();
    hibernation.follow(message, fromReplica);
  }

  /** Heartbeats are no work; but who sends some does not rest. */
  #wake(type: number, isQuiesce: boolean): void {
    const { node, group, hibernation } = this.#parts;
    if (type === CoreMessageType.heartbeatResponse) return;
    if (type !== CoreMessageType.heartbeat) hibernation.touch();
    else if (!isQuiesce) node.wake(group);
  }

  #append(driver: Driver, { message, payloads = [] }: RaftEnvelope): void {
    const entries = messageEntries(message);
    const isWhole = entries.every(({ type, data }, at) => {
      const bytes = describedBytes(type, data);
      return bytes === undefined || payloads[at]?.length === bytes;
    });
    // What comes faster than the disk takes it is dropped: the leader sends it again.
    const hasRoom = entries.length === 0 || driver.isStored || !this.#parts.tail.isOver;
    if (isWhole && hasRoom) driver.stepAppend(message, entries, payloads);
  }
}
