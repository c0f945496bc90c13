import assert from "node:assert/strict";
import http2 from "node:http2";
import type net from "node:net";
import { type TestContext, test } from "node:test";
import { MIB } from "../../src/base/units.ts";
import type { HttpStream, StreamHandler } from "../../src/platform/http-options.ts";
import { IS_BUN } from "../../src/platform/http-runtime.ts";
import { makeCertificates } from "./certificates.ts";
import {
  FrameClient,
  INITIAL_WINDOW_BYTES,
  initialWindow,
  request,
  reset,
  SETTING_INITIAL_WINDOW_SIZE,
  settings,
  WINDOW_BYTES_MAX,
  windowUpdate,
} from "./http2-frames.ts";
import { openPort } from "./ports.ts";

const { ca, server: certificate } = makeCertificates();
const PIECE = Buffer.alloc(64 * 1024);
const CANCEL = 8;

/** Writes as much as a stream takes, up to `bytes`. */
function flood(
  stream: HttpStream,
  bytes = Number.POSITIVE_INFINITY,
  onWritten = (_: number) => {},
) {
  stream.on("error", () => {});
  stream.respond({ ":status": 200 });
  let written = 0;
  const go = () => {
    let hasRoom = true;
    while (hasRoom && written < bytes && !stream.destroyed) {
      hasRoom = stream.write(PIECE);
      written += PIECE.length;
      onWritten(written);
    }
    if (written >= bytes) stream.end();
  };
  stream.on("drain", go);
  go();
}

const floodAll: StreamHandler = (stream) => {
  flood(stream);
  return true;
};

for (const scheme of ["plaintext", "TLS"]) {
  const isTls = scheme === "TLS";
  const open = async (t: TestContext, onStream: StreamHandler = floodAll) => {
    const tls = isTls ? { tls: certificate } : {};
    const listener = await openPort(t, () => {}, { onStream, ...tls });
    return await FrameClient.open(t, listener.port, isTls ? ca : undefined);
  };

  for (const pieceBytes of [Number.POSITIVE_INFINITY, 5, 1]) {
    const pieces = pieceBytes === Number.POSITIVE_INFINITY ? "as a whole" : `by ${pieceBytes}`;
    test(`${scheme}: a raised window adds to what a stream may send (sent ${pieces})`, async (t) => {
      const client = await open(t);
      const send = async (...frames: readonly Buffer[]) => {
        const bytes = Buffer.concat(frames);
        await client.sendInPieces(bytes, Math.min(pieceBytes, bytes.length));
      };
      let want = INITIAL_WINDOW_BYTES;
      await send(FrameClient.opening, request(1));
      assert.equal(await client.dataUpTo(1, want), want);
      want += 200_000;
      await send(windowUpdate(1, 200_000));
      assert.equal(await client.dataUpTo(1, want), want);
      want += 65_535;
      await send(initialWindow(131_070));
      assert.equal(await client.dataUpTo(1, want), want);
      want += 400_000 - 131_070 + 50_000;
      await send(initialWindow(400_000), windowUpdate(1, 50_000));
      assert.equal(await client.dataUpTo(1, want), want);
      assert.deepEqual([client.settingsAcks, client.complaints], [3, []]);
    });
  }

  test(`${scheme}: SETTINGS are acknowledged before they are made use of`, async (t) => {
    const client = await open(t);
    client.send(FrameClient.opening, request(1), request(3), windowUpdate(1, 10_000));
    assert.equal(await client.dataUpTo(1, 75_535), 75_535);
    client.send(initialWindow(200_000));
    assert.equal(await client.dataUpTo(1, 210_000), 210_000);
    assert.equal(await client.dataUpTo(3, 200_000), 200_000);
    assert.deepEqual(client.dataBytesBeforeAcks, [0, 75_535 + 65_535]);
    assert.deepEqual(client.complaints, []);
  });

  test(`${scheme}: SETTINGS count for streams opened before them, whatever comes with them`, async (t) => {
    const client = await open(t);
    client.send(
      FrameClient.opening,
      request(1),
      windowUpdate(1, 10_000),
      settings([SETTING_INITIAL_WINDOW_SIZE, 1], [SETTING_INITIAL_WINDOW_SIZE, 70_000]),
      request(3),
      windowUpdate(3, 1000),
      initialWindow(80_000),
      request(5),
      initialWindow(100_000),
      windowUpdate(5, 1),
    );
    assert.equal(await client.dataUpTo(1, 110_000), 110_000);
    assert.equal(await client.dataUpTo(3, 101_000), 101_000);
    assert.equal(await client.dataUpTo(5, 100_001), 100_001);
    assert.deepEqual([client.settingsAcks, client.complaints], [4, []]);
  });

  test(`${scheme}: a raise does not mind streams that are over`, async (t) => {
    const client = await open(t, (stream) => {
      if (stream.id === 1) flood(stream);
      else stream.respond({ ":status": 204 }, { endStream: true });
      return true;
    });
    client.send(FrameClient.opening, request(1), request(3), request(5), reset(5, CANCEL));
    client.send(initialWindow(100_000));
    assert.equal(await client.dataUpTo(1, 100_000), 100_000);
    client.send(reset(1, CANCEL), initialWindow(200_000), request(7), initialWindow(300_000));
    await client.settle();
    // Stream 1 is over for the client, and Bun may say so too.
    const complaints = client.complaints.filter((text) => text !== "RST_STREAM of 1");
    assert.deepEqual([complaints, client.isClosed], [[], false]);
  });

  for (const [name, end] of [
    ["resets it", reset(1, CANCEL)],
    ["breaks a rule", windowUpdate(1, 0)],
  ] as const) {
    test(`${scheme}: who writes all that a stream takes notices that a client ${name}`, async (t) => {
      const ended = Promise.withResolvers<void>();
      const client = await open(t, (stream) => {
        stream.once("close", ended.resolve);
        flood(stream);
        return true;
      });
      client.send(FrameClient.opening, request(1));
      assert.equal(await client.dataUpTo(1, INITIAL_WINDOW_BYTES), INITIAL_WINDOW_BYTES);
      client.send(end);
      await ended.promise;
    });
  }

  test(`${scheme}: a lowered window is made up for before more is sent`, async (t) => {
    const client = await open(t);
    client.send(FrameClient.opening, request(1));
    assert.equal(await client.dataUpTo(1, 65_535), 65_535);
    client.send(initialWindow(25_535), windowUpdate(1, 30_000));
    assert.equal(await client.dataUpTo(1, 65_535), 65_535);
    client.send(windowUpdate(1, 15_000), request(3));
    assert.equal(await client.dataUpTo(1, 70_535), 70_535);
    assert.equal(await client.dataUpTo(3, 25_535), 25_535);
    client.send(initialWindow(5535), initialWindow(15_535), initialWindow(115_535));
    assert.equal(await client.dataUpTo(1, 160_535), 160_535);
    assert.equal(await client.dataUpTo(3, 115_535), 115_535);
    assert.deepEqual(client.complaints, []);
  });

  test(`${scheme}: a client that does not read holds up what is written for it`, async (t) => {
    const total = 256 * MIB;
    let written = 0;
    const client = await open(t, (stream) => {
      flood(stream, total, (bytes) => {
        written = bytes;
      });
      return true;
    });
    client.socket.pause();
    client.send(FrameClient.opening, initialWindow(WINDOW_BYTES_MAX), request(1));
    let before = -1;
    while (written !== before || written === 0) {
      before = written;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assert.ok(written < 32 * MIB, `${written} bytes were written`);
    client.socket.resume();
    assert.equal(await client.dataUpTo(1, total), total);
  });

  test(`${scheme}: a client that changes its SETTINGS without end is dropped`, async (t) => {
    const client = await open(t, (stream) => {
      flood(stream, 1);
      return true;
    });
    client.send(FrameClient.opening, request(1));
    for (let n = 0; n < 20_000 && !client.isClosed; n += 1) {
      client.send(initialWindow(70_000 + (n % 2)));
      if (n % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await client.until(() => client.isClosed);
    assert.ok(client.settingsAcks < 20_000);
  });

  test(`${scheme}: a broken frame of SETTINGS ends the connection`, async (t) => {
    for (const bytes of [
      Buffer.from([0, 0, 5, 4, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0]), // not a multiple of 6
      Buffer.from([0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0x80, 0, 0, 0]), // over the largest window
      Buffer.concat([Buffer.from([0xff, 0xff, 0xfc, 4, 0, 0, 0, 0, 0]), Buffer.alloc(20_000)]),
    ]) {
      const client = await open(t);
      client.send(FrameClient.opening, request(1), bytes);
      await client.until(() => client.complaints.some((text) => text.startsWith("GOAWAY")));
      assert.ok(client.isClosed || client.complaints.length > 0);
    }
  });
}

test("Bun by itself does not add a raise to a window", { skip: !IS_BUN }, async (t) => {
  const server = http2.createServer();
  server.on("stream", (stream: HttpStream) => flood(stream));
  server.on("sessionError", () => {});
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  t.after(() => server.close());
  const client = await FrameClient.open(t, (server.address() as net.AddressInfo).port);
  client.send(FrameClient.opening, request(1), windowUpdate(1, 200_000));
  assert.equal(await client.dataUpTo(1, 265_535), 265_535);
  client.send(initialWindow(131_070));
  await client.settle();
  const isMended = client.dataBytes(1) === 331_070;
  assert.equal(isMended, false, "This Bun adds it: drop http-bun-window.ts and ADR 8's way");
  assert.equal(client.dataBytes(1), 265_535);
});
