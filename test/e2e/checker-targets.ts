import { setTimeout as pause } from "node:timers/promises";
import { type Failure, failureOf } from "../../src/client/failure.ts";
import { integerFrom } from "../support/prng.ts";
import type { ClusterNode, NodeClients } from "./cluster-node.ts";

const RETRY_MS = 20;

/** Whom a client of the checker can call: any server of the cluster, as the list is now. */
export class Targets {
  readonly #nodes: () => readonly ClusterNode[];
  readonly #random: () => number;
  readonly #clients = new Map<ClusterNode, NodeClients>();
  #at: ClusterNode | undefined;

  constructor(nodes: () => readonly ClusterNode[], random: () => number) {
    this.#nodes = nodes;
    this.#random = random;
  }

  /** Of the server that is called at present. Connections are kept. */
  get clients(): NodeClients {
    const nodes = this.#nodes();
    const isListed = this.#at !== undefined && nodes.includes(this.#at);
    const node = isListed ? this.#at : nodes[integerFrom(this.#random, 0, nodes.length - 1)];
    if (node === undefined) throw new Error("No servers to call");
    this.#at = node;
    return this.clientsOf(node);
  }

  clientsOf(node: ClusterNode): NodeClients {
    const known = this.#clients.get(node) ?? node.clients();
    this.#clients.set(node, known);
    return known;
  }

  /** After a failure: the next server is called. */
  async next(): Promise<void> {
    const nodes = this.#nodes();
    const place = this.#at === undefined ? -1 : nodes.indexOf(this.#at);
    this.#at = nodes[(place + 1) % nodes.length];
    await pause(RETRY_MS);
  }
}

/** What a failed write says of its batch. */
export interface WriteFailure extends Failure {
  /** It was not appended, for certain. */
  readonly isRefusal: boolean;
}

export function writeFailureOf(error: unknown): WriteFailure {
  const failure = failureOf(error);
  const isRefusal = failure.reason !== undefined && failure.metadata["outcome"] !== "unknown";
  return { ...failure, isRefusal };
}
