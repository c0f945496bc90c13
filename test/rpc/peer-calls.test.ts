import assert from "node:assert/strict";
import net from "node:net";
import { type TestContext, test } from "node:test";
import { ProglogError } from "../../src/base/errors.ts";
import { MIB } from "../../src/base/units.ts";
import type { CopyPiece, CopyRequest, JoinRequest } from "../../src/cluster/peer-host.ts";
import { ByteRate } from "../../src/rpc/peer/byte-rate.ts";
import { FakeCall } from "../support/fake-call.ts";
import { SimClock } from "../support/sim-clock.ts";
import { PeerWorld, QUICK, type TestNode } from "./peer-world.ts";

const JOIN: JoinRequest = {
  nodeId: "three",
  address: "10.0.0.3:8400",
  zone: "b",
  version: "1.2.3",
  featureLevel: 4,
  clusterId: "",
  folderNonce: "00ff10ab",
};
const COPY: CopyRequest = {
  topicId: 0,
  fromReplica: 5,
  toReplica: 6,
  firstOffset: 10,
  endOffset: 2 ** 52,
};

async function pair(t: TestContext): Promise<readonly [TestNode, TestNode]> {
  const world = new PeerWorld(t);
  return [await world.start("one"), await world.start("two")];
}

const reason = (wanted: string) => (thrown: unknown) => {
  assert.ok(thrown instanceof ProglogError, String(thrown));
  assert.equal(thrown.reason, wanted);
  return true;
};

const soon = () => new Promise<void>((resolve) => setTimeout(resolve, 5));

test("a call that is refused rejects with the reason and the metadata of the refusal", async (t) => {
  const [one, two] = await pair(t);
  two.host.answerJoin = async () => {
    throw new ProglogError("SERVER_ID_TAKEN", "Cannot take it: taken", {
      metadata: { serverId: "three" },
    });
  };
  await assert.rejects(one.network.peers.join(two.address, JOIN), (thrown) => {
    assert.deepEqual((thrown as ProglogError).metadata, { serverId: "three" });
    return reason("SERVER_ID_TAKEN")(thrown);
  });
});

test("a call to nobody rejects with SERVER_UNREACHABLE, one to who is silent with DEADLINE_EXCEEDED", async (t) => {
  const [one, two] = await pair(t);
  await assert.rejects(one.network.peers.join("127.0.0.1:1", JOIN), reason("SERVER_UNREACHABLE"));
  await assert.rejects(
    one.network.peers.join("not an address", JOIN),
    reason("SERVER_UNREACHABLE"),
  );
  two.host.answerJoin = () => new Promise(() => {});
  await assert.rejects(
    one.network.peers.join(two.address, JOIN, { timeoutMs: 50 }),
    reason("DEADLINE_EXCEEDED"),
  );
});

test("a call is given up by its signal, before it is connected and after", async (t) => {
  const [one, two] = await pair(t);
  two.host.answerJoin = () => new Promise(() => {});
  const now = AbortSignal.abort();
  await assert.rejects(
    one.network.peers.join(two.address, JOIN, { signal: now }),
    reason("CANCELED"),
  );
  const later = new AbortController();
  const joining = one.network.peers.join(two.address, JOIN, { signal: later.signal });
  setTimeout(() => later.abort(), 30);
  await assert.rejects(joining, reason("CANCELED"));
  while (two.listener.connectionCount > 0) await soon();
});

test("what a joining node says comes, and what it is answered", async (t) => {
  const [one, two] = await pair(t);
  let asked: JoinRequest | undefined;
  const answer = {
    clusterId: "cluster",
    clusterReplicaId: 2 ** 40,
    members: [{ nodeId: "two", address: two.address, clusterReplicaId: 1 }],
  };
  two.host.answerJoin = async (request) => {
    asked = request;
    return answer;
  };
  assert.deepEqual(await one.network.peers.join(two.address, JOIN), answer);
  assert.deepEqual(asked, JOIN);
});

test("an invitation takes its way, and what is said against it comes back", async (t) => {
  const [one, two] = await pair(t);
  two.host.answerInvite = async (request) => {
    assert.deepEqual(request, { clusterId: "c", addresses: ["a:1", "b:2"] });
    return { nodeId: "two" };
  };
  const invitation = { clusterId: "c", addresses: ["a:1", "b:2"] };
  assert.deepEqual(await one.network.peers.invite(two.address, invitation), { nodeId: "two" });
  two.host.answerInvite = async () => {
    throw new ProglogError("CLUSTER_FOREIGN", "Cannot join: this is another one");
  };
  await assert.rejects(one.network.peers.invite(two.address, invitation), {
    reason: "CLUSTER_FOREIGN",
  });
});

test("the promise of genesis and a proposal take their ways", async (t) => {
  const [one, two] = await pair(t);
  const genesis = { founderId: "one", clusterId: "c", seeds: ["a:1", "b:2"] };
  two.host.answerGenesis = async (request) => {
    assert.deepEqual(request, genesis);
    return { nodeId: "two", promisedNodeId: "one", clusterId: "" };
  };
  assert.deepEqual(await one.network.peers.promiseGenesis(two.address, genesis), {
    nodeId: "two",
    promisedNodeId: "one",
    clusterId: "",
  });
  two.host.answerProposal = async (from, command) => Uint8Array.of(from.length, ...command);
  const outcome = await one.network.peers.propose("two", Uint8Array.of(7, 8));
  assert.deepEqual([...outcome], [3, 7, 8]);
  two.host.admits = () => false;
  await assert.rejects(one.network.peers.propose("two", Uint8Array.of(7)), reason("PEER_UNKNOWN"));
  await assert.rejects(
    one.network.peers.propose("three", Uint8Array.of(7)),
    reason("PEER_UNKNOWN"),
  );
});

/** Pieces of `count` frames of `bytes` each, and how many were asked for and whether it was left. */
function source(pieces: number, count: number, bytes: number) {
  const state = { asked: 0, isLeft: false };
  async function* copy(request: CopyRequest): AsyncGenerator<CopyPiece> {
    try {
      for (; state.asked < pieces; ) {
        const firstOffset = request.firstOffset + state.asked * count;
        state.asked += 1;
        const frames = Array.from({ length: count }, (_, at) =>
          new Uint8Array(bytes).fill(firstOffset + at),
        );
        yield { firstOffset, frames };
      }
    } finally {
      state.isLeft = true;
    }
  }
  return { state, copy };
}

test("a copy comes whole and in order, with frames of any size", async (t) => {
  const [one, two] = await pair(t);
  for (const [pieces, count, bytes] of [
    [0, 0, 0],
    [3, 5, 0],
    [40, 100, 700],
    [5, 3, 2 * MIB],
  ] as const) {
    two.host.copy = source(pieces, count, bytes).copy;
    let next = COPY.firstOffset;
    for await (const { firstOffset, frames } of one.network.peers.copyRange("two", COPY)) {
      assert.equal(firstOffset, next);
      for (const frame of frames) {
        assert.equal(frame.length, bytes);
        assert.ok(frame.every((byte) => byte === (next & 255)));
        next += 1;
      }
    }
    assert.equal(next, COPY.firstOffset + pieces * count);
  }
});

test("who copies is asked for by its id, its offsets and its replicas", async (t) => {
  const [one, two] = await pair(t);
  let asked: CopyRequest | undefined;
  two.host.copy = (request) => {
    asked = request;
    return source(1, 1, 1).copy(request);
  };
  for await (const _ of one.network.peers.copyRange("two", COPY)) assert.deepEqual(asked, COPY);
  assert.deepEqual(asked, COPY);
});

test("an error in the middle of a copy comes after the pieces before it", async (t) => {
  const [one, two] = await pair(t);
  two.host.copy = async function* () {
    yield { firstOffset: 10, frames: [Uint8Array.of(1)] };
    throw new ProglogError("STORE_CORRUPT", "Cannot read it", { metadata: { topic: "a" } });
  };
  let pieces = 0;
  await assert.rejects(async () => {
    for await (const _ of one.network.peers.copyRange("two", COPY)) pieces += 1;
  }, reason("STORE_CORRUPT"));
  assert.equal(pieces, 1);
});

test("a copy whose connection breaks rejects, and never looks whole", async (t) => {
  const [one, two] = await pair(t);
  two.host.copy = source(1_000, 1, 100_000).copy;
  await assert.rejects(async () => {
    for await (const { firstOffset } of one.network.peers.copyRange("two", COPY)) {
      if (firstOffset === 15) void two.listener.close(0);
    }
  }, reason("SERVER_UNREACHABLE"));
});

test("who takes a copy slowly is sent no more than can wait", async (t) => {
  const [one, two] = await pair(t);
  const { state, copy } = source(1_000, 1, 256 * 1024);
  two.host.copy = copy;
  const pieces = one.network.peers.copyRange("two", COPY)[Symbol.asyncIterator]();
  await pieces.next();
  let asked = 0;
  do {
    asked = state.asked;
    await new Promise((resolve) => setTimeout(resolve, 200));
  } while (state.asked > asked);
  // Two MiB here, a window and the sockets' buffers between.
  assert.ok(asked < 100, `${asked}`);
  await pieces.return?.();
  while (!state.isLeft) await soon();
});

test("who leaves a copy frees what it was read from", async (t) => {
  const [one, two] = await pair(t);
  const { state, copy } = source(Number.MAX_SAFE_INTEGER, 1, 10_000);
  two.host.copy = copy;
  for await (const { firstOffset } of one.network.peers.copyRange("two", COPY)) {
    if (firstOffset === 20) break;
  }
  while (!state.isLeft) await soon();
  while (two.listener.connectionCount > 0) await soon();
});

test("copies share the bytes a second that they may have", async () => {
  const clock = new SimClock();
  const rate = new ByteRate(clock, 1_000_000);
  const done: string[] = [];
  const take = (name: string, bytes: number) =>
    rate.take(bytes, new FakeCall()).then(() => done.push(`${name} ${clock.monotonicMs()}`));
  void take("first", 500_000);
  void take("second", 250_000);
  void take("third", 1);
  await clock.advance(2_000);
  assert.deepEqual(done, ["first 0", "second 500", "third 750"]);
  void take("fourth", 1);
  await clock.advance(0);
  assert.equal(done.at(-1), "fourth 2000", "what was not used is not saved up");
});

test("a copy that waits for its share ends when its caller gives up", async () => {
  const clock = new SimClock();
  const rate = new ByteRate(clock, 1);
  const call = new FakeCall();
  await rate.take(1_000, call);
  const waiting = rate.take(1, call);
  call.abort();
  await waiting;
  assert.equal(clock.timerCount, 0);
});

test("a server that reads nothing of a request does not keep the caller for ever", async (t) => {
  const server = net.createServer((socket) => {
    socket.pause();
    t.after(() => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  const one = await new PeerWorld(t).start("one", { limits: { ...QUICK, dialTimeoutMs: 50 } });
  const { port } = server.address() as net.AddressInfo;
  await assert.rejects(
    one.network.peers.join(`127.0.0.1:${port}`, JOIN),
    reason("SERVER_UNREACHABLE"),
  );
});

test("calls end when the network is closed", async (t) => {
  const [one, two] = await pair(t);
  two.host.answerJoin = () => new Promise(() => {});
  const joining = one.network.peers.join(two.address, JOIN);
  await new Promise((resolve) => setTimeout(resolve, 30));
  await one.network.close();
  await assert.rejects(joining, reason("CANCELED"));
});
