import assert from "node:assert/strict";
import { test } from "node:test";
import { MIB } from "../../src/base/units.ts";
import { makeCertificates } from "./certificates.ts";
import { append, heartbeat, PeerWorld, type TestNode } from "./peer-world.ts";

const { ca, client, server, stranger } = makeCertificates();
const listen = { tls: { ...server, clientCa: ca } };

test("peers speak in TLS, each showing its certificate", async (t) => {
  const world = new PeerWorld(t);
  const one = await world.start("one", {
    listen,
    network: { clientTls: () => ({ ca, ...client }) },
  });
  const two = await world.start("two", {
    listen,
    network: { clientTls: () => ({ ca, ...client }) },
  });
  await exchange(one, two);
});

test("a peer is found by its name, which its certificate has", async (t) => {
  const world = new PeerWorld(t);
  const one = await world.start("one", { network: { clientTls: () => ({ ca, ...client }) } });
  const two = await world.start("two", { listen });
  world.places.set("two", `localhost:${two.listener.port}`);
  await exchange(one, two);
});

test("who is not signed by the cluster's CA is not heard", async (t) => {
  const world = new PeerWorld(t);
  const one = await world.start("one", { network: { clientTls: () => ({ ca, ...stranger }) } });
  const two = await world.start("two", { listen });
  one.network.send("two", heartbeat());
  await one.host.until(() => one.host.lost.length > 1);
  assert.deepEqual(two.host.received, []);
});

test("a server that the CA did not sign is not spoken to", async (t) => {
  const world = new PeerWorld(t);
  const one = await world.start("one", { network: { clientTls: () => ({ ca, ...client }) } });
  const two = await world.start("two", { listen: { tls: stranger } });
  one.network.send("two", heartbeat());
  await one.host.until(() => one.host.lost.length > 1);
  assert.deepEqual(two.host.received, []);
});

async function exchange(one: TestNode, two: TestNode): Promise<void> {
  const payload = new Uint8Array(MIB).fill(9);
  one.network.send("two", heartbeat());
  one.network.send("two", append(1, payload));
  await two.host.until(() => two.host.received.length === 2);
  const found = two.host.received.find(({ envelope }) => envelope.payloads !== undefined);
  assert.deepEqual(Buffer.from(found?.envelope.payloads?.[0] ?? []), Buffer.from(payload));
}
