import net from "node:net";
import { test } from "node:test";
import tls from "node:tls";
import fc from "fast-check";
import type { ListenOptions } from "../../src/platform/http-options.ts";
import { makeCertificates } from "../rpc/certificates.ts";
import { changes, cuts, mutate, split } from "./support/mutations.ts";
import { runs } from "./support/runs.ts";
import { SCRIPTS } from "./support/scripts.ts";
import { LEAVINGS, talk } from "./support/talk.ts";
import { Target } from "./support/target.ts";

const CLIENTS_MAX = 8;

const { server } = makeCertificates();

/**
 * Node 24 does not notice at once that some clients in TLS are gone: see
 * `Http2Sessions.scan`. So what finds them is made to look often.
 */
const TLS: Partial<ListenOptions> = {
  tls: server,
  limits: {
    headerTimeoutMs: 1_000,
    bodyTimeoutMs: 200,
    pingIntervalMs: 200,
    pingTimeoutMs: 200,
    scanIntervalMs: 20,
  },
};

/** The first bytes that a real client sends. */
async function recordHello(): Promise<Uint8Array> {
  const listener = net.createServer();
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const { port } = listener.address() as net.AddressInfo;
  const hello = new Promise<Uint8Array>((resolve) => {
    listener.once("connection", (socket) => {
      socket.on("error", () => {});
      socket.once("data", (chunk) => {
        resolve(Uint8Array.from(chunk));
        socket.destroy();
      });
    });
  });
  const client = tls.connect({ port, host: "127.0.0.1", ALPNProtocols: ["h2", "http/1.1"] });
  client.on("error", () => {});
  const bytes = await hello;
  client.destroy();
  listener.close();
  return bytes;
}

const manner = { cuts, leaving: fc.constantFrom(...LEAVINGS), isDeaf: fc.boolean() };

// Goal and method as for plaintext, on the way to TLS and inside it.
test("damaged greetings of TLS harm nobody", async (t) => {
  const hello = await recordHello();
  const target = await Target.start(t, {}, TLS);
  const client = fc.record({ changes: changes(4), ...manner });
  await fc.assert(
    fc.asyncProperty(
      fc.array(client, { minLength: 1, maxLength: CLIENTS_MAX }),
      async (clients) => {
        await Promise.all(
          clients.map(({ changes, cuts, ...how }) =>
            talk(target.port, split(mutate(hello, changes), cuts), how),
          ),
        );
        await target.settled();
        await target.assertWell();
      },
    ),
    runs(60),
  );
});

test("damaged conversations inside TLS harm nobody", async (t) => {
  const target = await Target.start(t, {}, TLS);
  const client = fc.record({
    script: fc.constantFrom(...SCRIPTS),
    changes: changes(6),
    alpn: fc.constantFrom("h2" as const, "http/1.1" as const),
    ...manner,
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(client, { minLength: 1, maxLength: CLIENTS_MAX }),
      async (clients) => {
        await Promise.all(
          clients.map(({ script, changes, cuts, ...how }) =>
            talk(target.port, split(mutate(script.bytes, changes), cuts), how),
          ),
        );
        await target.settled();
        await target.assertWell();
      },
    ),
    runs(40),
  );
});
