import { execFileSync } from "node:child_process";

/** Of a network of our own, in which nothing else lives. */
const SUBNET = "10.231";
/** Swallows what is sent to it. */
const SINK = "sink";

let networks = 0;

/**
 * A network of namespaces on this machine: each host has an address of its own, the tests' process
 * reaches all of them, and any host can be cut from any other one, in one direction or in both:
 * a route into a device that swallows everything, so senders are not told. Linux, as root.
 */
export class ClusterNetwork {
  readonly #id: number;
  readonly #bridge: string;
  readonly #hosts: string[] = [];
  readonly #cuts = new Set<string>();

  private constructor() {
    networks += 1;
    this.#id = (process.pid + networks * 101) % 250;
    this.#bridge = `plbr${this.#id}`;
  }

  /** Why there can be none here; undefined when there can. */
  static whyNot(): string | undefined {
    if (process.platform !== "linux" || process.getuid?.() !== 0) return "needs root on Linux";
    const name = `proglog-probe-${process.pid}`;
    try {
      ip("netns", "add", name);
      ip("netns", "del", name);
      return undefined;
    } catch {
      return "needs network namespaces (iproute2, CAP_NET_ADMIN)";
    }
  }

  static make(): ClusterNetwork {
    const network = new ClusterNetwork();
    ip("link", "add", network.#bridge, "type", "bridge");
    ip("addr", "add", `${SUBNET}.${network.#id}.254/24`, "dev", network.#bridge);
    ip("link", "set", network.#bridge, "up");
    return network;
  }

  /** Adds a host. @returns its address, without a port */
  add(host: string): string {
    this.#hosts.push(host);
    const namespace = this.#namespaceOf(host);
    const port = this.#portOf(host);
    ip("netns", "add", namespace);
    ip("link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", namespace);
    ip("link", "set", port, "master", this.#bridge, "up");
    ip("-n", namespace, "addr", "add", `${this.addressOf(host)}/24`, "dev", "eth0");
    ip("-n", namespace, "link", "set", "eth0", "up");
    ip("-n", namespace, "link", "set", "lo", "up");
    ip("-n", namespace, "link", "add", SINK, "type", "veth", "peer", "name", "hole");
    ip("-n", namespace, "link", "set", SINK, "arp", "off", "up");
    ip("-n", namespace, "link", "set", "hole", "up");
    return this.addressOf(host);
  }

  addressOf(host: string): string {
    return `${SUBNET}.${this.#id}.${this.#hosts.indexOf(host) + 1}`;
  }

  /** What a command stands behind to run on `host`. It stays one process. */
  prefixOf(host: string): readonly string[] {
    return ["ip", "netns", "exec", this.#namespaceOf(host)];
  }

  /** From now on nothing that `source` sends to `target` arrives. */
  cut(source: string, target: string): void {
    const name = `${source} ${target}`;
    if (source === target || this.#cuts.has(name)) return;
    this.#route("add", source, target);
    this.#cuts.add(name);
  }

  /** Nothing passes between the two, either way. */
  part(left: readonly string[], right: readonly string[]): void {
    for (const source of left) {
      for (const target of right) {
        this.cut(source, target);
        this.cut(target, source);
      }
    }
  }

  /** All pass again. */
  heal(): void {
    for (const name of this.#cuts) {
      const [source = "", target = ""] = name.split(" ");
      this.#route("del", source, target);
    }
    this.#cuts.clear();
  }

  /** Takes the cable out of `host`, or puts it in again: the clients do not reach it either. */
  setLink(host: string, state: "up" | "down"): void {
    ip("link", "set", this.#portOf(host), state);
  }

  /** Nothing is left; processes on the hosts must have ended. */
  close(): void {
    for (const host of this.#hosts) {
      // A namespace lives as long as connections of it linger.
      quietly("link", "del", this.#portOf(host));
      quietly("netns", "del", this.#namespaceOf(host));
    }
    quietly("link", "del", this.#bridge);
    this.#hosts.length = 0;
  }

  #route(verb: "add" | "del", source: string, target: string): void {
    const to = `${this.addressOf(target)}/32`;
    ip("-n", this.#namespaceOf(source), "route", verb, to, "dev", SINK);
  }

  /** The cable's end on this side. */
  #portOf(host: string): string {
    return `plv${this.#id}n${this.#hosts.indexOf(host) + 1}`;
  }

  #namespaceOf(host: string): string {
    return `proglog-${this.#id}-${host}`;
  }
}

function ip(...args: readonly string[]): void {
  execFileSync("ip", args, { stdio: ["ignore", "ignore", "pipe"] });
}

function quietly(...args: readonly string[]): void {
  try {
    ip(...args);
  } catch {
    // Gone already, or never made.
  }
}
