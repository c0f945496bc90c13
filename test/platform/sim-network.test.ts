import assert from "node:assert/strict";
import { test } from "node:test";
import { hasReason, ProglogError } from "../../src/base/errors.ts";
import type { CopyPiece, JoinRequest, PeerHost } from "../../src/cluster/peer-host.ts";
import type { RaftEnvelope } from "../../src/raft/transport.ts";
import { makeRandom, seedsFromEnv } from "../support/prng.ts";
import { SimClock } from "../support/sim-clock.ts";
import { GOOD_LINK, type LinkSettings, SimNetwork } from "../support/sim-network.ts";
import type { SimPort } from "../support/sim-port.ts";

const REQUEST: JoinRequest = {
  nodeId: "a",
  address: "a:1",
  zone: "",
  version: "1",
  featureLevel: 1,
  clusterId: "",
  folderNonce: "00",
};

/** A node that keeps what comes. */
class Host implements PeerHost {
  readonly nodeId: string;
  clusterId = "c";
  readonly received: { from: string; envelope: RaftEnvelope }[] = [];
  readonly lost: string[] = [];
  readonly removed = new Set<string>();
  copying: "no" | "yes" | "returned" = "no";
  onJoin: () => Promise<void> = () => Promise.resolve();

  constructor(nodeId: string) {
    this.nodeId = nodeId;
  }

  self() {
    return { nodeId: this.nodeId, clusterId: this.clusterId };
  }

  admits(nodeId: string): boolean {
    return !this.removed.has(nodeId);
  }

  receive(from: string, envelope: RaftEnvelope): boolean {
    this.received.push({ from, envelope });
    return true;
  }

  unreachable(nodeId: string): void {
    this.lost.push(nodeId);
  }

  async join() {
    await this.onJoin();
    return { clusterId: this.clusterId, clusterReplicaId: 7, members: [] };
  }

  propose(_from: string, command: Uint8Array): Promise<Uint8Array> {
    return Promise.resolve(command);
  }

  promiseGenesis() {
    return Promise.resolve({ nodeId: this.nodeId, promisedNodeId: "", clusterId: "" });
  }

  invite() {
    return Promise.resolve({ nodeId: this.nodeId });
  }

  async *copyRange(): AsyncIterable<CopyPiece> {
    this.copying = "yes";
    try {
      for (let firstOffset = 0; firstOffset < 5; firstOffset += 1) {
        yield { firstOffset, frames: [new Uint8Array([firstOffset])] };
      }
    } finally {
      this.copying = "returned";
    }
  }
}

interface Machine {
  readonly host: Host;
  readonly port: SimPort;
}

class World {
  readonly clock = new SimClock();
  readonly lines: string[] = [];
  readonly network: SimNetwork;

  constructor(seed = 1) {
    const trace = (line: string) => this.lines.push(line);
    this.network = new SimNetwork({ clock: this.clock, random: makeRandom(seed), trace });
  }

  machine(name: string, host = new Host(name)): Machine {
    const port = this.network.connect(name, { address: `${name}:1`, clock: this.clock });
    port.attach({ host, addressOf: (nodeId) => `${nodeId}:1` });
    return { host, port };
  }

  three(): [Machine, Machine, Machine] {
    return [this.machine("a"), this.machine("b"), this.machine("c")];
  }
}

function envelope(number: number, payloads?: Uint8Array[]): RaftEnvelope {
  const message = new Uint8Array([number]);
  const base = { topicId: 1, fromReplica: 1, toReplica: 2, message };
  return payloads === undefined ? base : { ...base, payloads };
}

function numbers({ host }: Machine): number[] {
  return host.received.map((one) => one.envelope.message[0] ?? Number.NaN);
}

function links(settings: Partial<LinkSettings>): LinkSettings {
  return { ...GOOD_LINK, ...settings };
}

test("messages come after their time, in order, as copies", async () => {
  const world = new World();
  const [a, b] = world.three();
  const payload = new Uint8Array([9]);
  for (let number = 0; number < 20; number += 1) {
    assert.equal(a.port.transport.send("b", envelope(number, [payload])), true);
  }
  payload.fill(0);
  assert.deepEqual(numbers(b), []);
  await world.clock.advance(10);
  assert.deepEqual(
    numbers(b),
    Array.from({ length: 20 }, (_, at) => at),
  );
  assert.equal(b.host.received[0]?.from, "a");
  assert.deepEqual(b.host.received[0]?.envelope.payloads, [new Uint8Array([9])]);
});

test("messages are lost, repeated and overtaken as asked", async () => {
  const world = new World();
  const [a, b, c] = world.three();
  world.network.setLink("a", "b", links({ dropChance: 0.5 }));
  world.network.setLink("a", "c", links({ duplicateChance: 0.5 }));
  world.network.setLink("b", "c", links({ reorderChance: 0.5, reorderMsMax: 100 }));
  const all = Array.from({ length: 100 }, (_, at) => at);
  for (const number of all) {
    a.port.transport.send("b", envelope(number));
    a.port.transport.send("c", envelope(number));
  }
  await world.clock.advance(200);
  assert.ok(numbers(b).length > 20 && numbers(b).length < 80);
  assert.ok(numbers(c).length > 120 && numbers(c).length < 180);
  assert.deepEqual([...new Set(numbers(c))], all);
  c.host.received.length = 0;
  for (const number of all) b.port.transport.send("c", envelope(number));
  await world.clock.advance(200);
  assert.notDeepEqual(numbers(c), all);
  assert.deepEqual(
    numbers(c).toSorted((left, right) => left - right),
    all,
  );
});

test("over a cut link nothing passes, one way; the sender learns by and by; healed, all passes", async () => {
  const world = new World();
  const [a, b] = world.three();
  a.port.transport.send("b", envelope(1));
  world.network.cut("a", "b");
  assert.equal(a.port.transport.send("b", envelope(2)), true);
  assert.equal(b.port.transport.send("a", envelope(3)), true);
  await world.clock.advance(20);
  assert.deepEqual(numbers(b), []);
  assert.deepEqual(numbers(a), [3]);
  assert.equal(a.host.lost.length, 0);
  await world.clock.advance(5_000);
  assert.ok(a.host.lost.includes("b"));
  world.network.heal();
  a.port.transport.send("b", envelope(4));
  await world.clock.advance(20);
  assert.deepEqual(numbers(b), [4]);
});

test("a partition parts groups, and nobody else", async () => {
  const world = new World();
  const [a, b, c] = world.three();
  const d = world.machine("d");
  world.network.partition([["a", "b"], ["c"]]);
  for (const { port } of [a, b, c, d]) {
    for (const to of ["a", "b", "c", "d"]) {
      if (to !== port.name) port.transport.send(to, envelope(1));
    }
  }
  await world.clock.advance(20);
  const heard = (machine: Machine) => machine.host.received.map(({ from }) => from).sort();
  assert.deepEqual(heard(a), ["b", "d"]);
  assert.deepEqual(heard(c), ["d"]);
  assert.deepEqual(heard(d), ["a", "b", "c"]);
});

test("what is on its way to a machine that stops is lost, and those who knew it are told", async () => {
  const world = new World();
  const [a, b, c] = world.three();
  a.port.transport.send("b", envelope(1));
  world.network.disconnect(b.port);
  const again = world.machine("b");
  await world.clock.advance(50);
  assert.deepEqual(numbers(b), []);
  assert.deepEqual(numbers(again), []);
  assert.deepEqual(a.host.lost, ["b"]);
  assert.deepEqual(c.host.lost, []);
  a.port.transport.send("b", envelope(2));
  await world.clock.advance(50);
  assert.deepEqual(numbers(again), [2]);
  assert.equal(b.port.transport.send("a", envelope(3)), false);
});

test("a machine that is down, of another cluster, or removed hears nothing, and the sender is told", async () => {
  const world = new World();
  const [a, b] = world.three();
  world.network.connect("e", { address: "e:1", clock: world.clock });
  assert.equal(a.port.transport.send("d", envelope(1)), false);
  b.host.clusterId = "other";
  a.port.transport.send("b", envelope(1));
  a.port.transport.send("e", envelope(1));
  await world.clock.advance(50);
  assert.deepEqual(a.host.lost.sort(), ["b", "d", "e"]);
  b.host.clusterId = "c";
  b.host.removed.add("a");
  a.port.transport.send("b", envelope(1));
  await world.clock.advance(50);
  assert.deepEqual(numbers(b), []);
  assert.equal(a.host.lost.length, 4);
});

test("a slow link delays what follows, and refuses what is too much", async () => {
  const world = new World();
  const [a, b] = world.three();
  world.network.setLink("a", "b", links({ bytesPerMs: 1024 }));
  const payload = new Uint8Array(1024 * 1024);
  let taken = 0;
  while (a.port.transport.send("b", envelope(taken, [payload]))) taken += 1;
  assert.equal(taken, 15);
  await world.clock.advance(1_000);
  assert.equal(numbers(b).length, 0);
  await world.clock.advance(4_000);
  assert.equal(numbers(b).length, 4);
  await world.clock.advance(20_000);
  assert.equal(numbers(b).length, 15);
});

test("who was heard of lately is up, and clocks are compared", async () => {
  const world = new World();
  const [a, b] = world.three();
  assert.equal(a.port.isUp("b"), undefined);
  a.port.transport.send("b", envelope(1));
  assert.equal(a.port.isUp("b"), false);
  await world.clock.advance(2_000);
  assert.equal(a.port.isUp("b"), true);
  assert.equal(b.port.isUp("a"), true);
  assert.ok(Math.abs(a.port.clockOffsetUs("b") ?? Number.NaN) <= 2_000);
  world.network.cut("b", "a");
  await world.clock.advance(5_000);
  assert.equal(a.port.isUp("b"), false);
  assert.equal(b.port.isUp("a"), true);
});

test("calls are answered, with the peer's own errors", async () => {
  const world = new World();
  const [a, b] = world.three();
  const joined = a.port.peers.join("b:1", REQUEST);
  const promised = a.port.peers.promiseGenesis("b:1", { founderId: "", clusterId: "", seeds: [] });
  const proposed = a.port.peers.propose("b", new Uint8Array([5]));
  await world.clock.advance(10);
  assert.equal((await joined).clusterReplicaId, 7);
  assert.equal((await promised).nodeId, "b");
  assert.deepEqual(await proposed, new Uint8Array([5]));
  b.host.onJoin = () =>
    Promise.reject(new ProglogError("SERVER_REMOVED", "No", { metadata: { nodeId: "a" } }));
  const refused = a.port.peers.join("b:1", REQUEST).catch((error) => error);
  await world.clock.advance(10);
  const error = await refused;
  assert.ok(hasReason(error, "SERVER_REMOVED"));
  assert.deepEqual(error.metadata, { nodeId: "a" });
});

test("a call ends when the peer is not there, stops, or is cut off, or the caller gives up", async () => {
  const world = new World();
  const [a, b] = world.three();
  const failed = async (work: Promise<unknown>, afterMs: number) => {
    let error: unknown;
    work.catch((thrown) => {
      error = thrown;
    });
    await world.clock.advance(afterMs);
    assert.ok(error instanceof ProglogError, `still waits after ${afterMs} ms`);
    return error.reason;
  };
  assert.equal(await failed(a.port.peers.join("nowhere:1", REQUEST), 10), "NO_QUORUM");
  b.host.onJoin = () => new Promise(() => {});
  const controller = new AbortController();
  const abandoned = a.port.peers.join("b:1", REQUEST, { signal: controller.signal });
  controller.abort();
  assert.equal(await failed(abandoned, 1), "CANCELED");
  assert.equal(await failed(a.port.peers.join("b:1", REQUEST, { timeoutMs: 70 }), 70), "NO_QUORUM");
  const stopped = a.port.peers.join("b:1", REQUEST);
  await world.clock.advance(10);
  world.network.disconnect(b.port);
  assert.equal(await failed(stopped, 50), "NO_QUORUM");
  world.machine("b");
  world.network.cut("b", "a");
  assert.equal(await failed(a.port.peers.join("b:1", REQUEST), 5_000), "NO_QUORUM");
});

test("a copy comes piece by piece; who leaves it, or is cut off, ends it", async () => {
  const world = new World();
  const [a, b] = world.three();
  const request = { topicId: 1, fromReplica: 1, toReplica: 2, firstOffset: 0, endOffset: 5 };
  const copy = async (stopAt: number) => {
    const found: number[] = [];
    for await (const { firstOffset } of a.port.peers.copyRange("b", request)) {
      found.push(firstOffset);
      if (firstOffset === stopAt) break;
    }
    return found;
  };
  const whole = copy(-1);
  await world.clock.advance(100);
  assert.deepEqual(await whole, [0, 1, 2, 3, 4]);
  const part = copy(2);
  await world.clock.advance(100);
  assert.deepEqual(await part, [0, 1, 2]);
  assert.equal(b.host.copying, "returned");
  world.network.setLink("b", "a", links({ latencyMsMin: 10, latencyMsMax: 10 }));
  const cut = copy(-1).catch((error) => error);
  await world.clock.advance(15);
  assert.equal(b.host.copying, "yes");
  world.network.cut("b", "a");
  await world.clock.advance(31_000);
  assert.ok(hasReason(await cut, "NO_QUORUM"));
  assert.equal(b.host.copying, "returned");
});

// Goal: a run is a function of its seed, or no failure could be replayed.
for (const seed of seedsFromEnv(5)) {
  test(`the same seed gives the same trace, another one another (seed ${seed})`, async () => {
    const first = await bustle(seed);
    assert.ok(first.length > 1_000);
    assert.deepEqual(await bustle(seed), first);
    assert.notDeepEqual(await bustle(seed + 1), first);
  });
}

async function bustle(seed: number): Promise<string[]> {
  const world = new World(seed);
  const random = makeRandom(seed);
  let machines: Machine[] = world.three();
  world.network.setAll(
    links({ dropChance: 0.1, duplicateChance: 0.1, reorderChance: 0.2, reorderMsMax: 30 }),
  );
  for (let turn = 0; turn < 300; turn += 1) {
    for (const { port } of machines) {
      for (const to of ["a", "b", "c"]) port.transport.send(to, envelope(turn % 256));
      if (random() < 0.1) void port.peers.join("b:1", REQUEST).catch(() => {});
    }
    const dice = random();
    if (dice < 0.05) world.network.cut("a", "b");
    else if (dice < 0.1) world.network.heal();
    else if (dice < 0.15) {
      machines = machines.map((machine) => {
        if (random() < 0.5) return machine;
        world.network.disconnect(machine.port);
        return world.machine(machine.port.name);
      });
    }
    await world.clock.advance(Math.floor(random() * 20));
  }
  return world.lines;
}
