import assert from "node:assert/strict";
import net from "node:net";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { MIB } from "../../src/base/units.ts";
import { IS_BUN } from "../../src/platform/http-runtime.ts";
import { FLOODS, type Flood } from "./support/floods.ts";
import { Target } from "./support/target.ts";

/** Far more than anything that may be held for one connection. */
const FLOOD_BYTES = 96 * MIB;
/** What the process may hold more than before: our limits for one connection, and what runtimes keep. */
const GROWTH_BYTES_MAX = 40 * MIB;
/** Nothing is taken for so long: the server has stopped reading. */
const STALLED_MS = 300;

/**
 * Sends until the server closes, or reads no more, or has taken everything.
 * The client never reads.
 */
async function pour(port: number, flood: Flood): Promise<"closed" | "stalled" | "taken"> {
  const socket = net.connect({ host: "127.0.0.1", port });
  socket.on("error", () => {});
  socket.pause();
  const closed = new Promise<"closed">((resolve) => socket.once("close", () => resolve("closed")));
  socket.write(flood.first);
  let sentBytes = 0;
  for (let index = 0; sentBytes < FLOOD_BYTES; index += 1) {
    const piece = flood.next(index);
    sentBytes += piece.length;
    if (socket.write(piece)) continue;
    const drained = new Promise<"drained">((resolve) =>
      socket.once("drain", () => resolve("drained")),
    );
    let timer: NodeJS.Timeout | undefined;
    const stalled = new Promise<"stalled">((resolve) => {
      timer = setTimeout(() => resolve("stalled"), STALLED_MS);
    });
    const event = await Promise.race([closed, drained, stalled]);
    clearTimeout(timer);
    if (event === "drained") continue;
    socket.destroy();
    return event;
  }
  socket.destroy();
  return "taken";
}

/** Node's allocator keeps pages it does not need, so there it is asked for more than those. */
function heldBytes(): number {
  if (IS_BUN) return process.memoryUsage.rss();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** Twice, since some garbage is only found when other garbage is gone. */
async function collectGarbage(): Promise<void> {
  for (let count = 0; count < 2; count += 1) {
    gc();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function gc(): void {
  if (IS_BUN) {
    (globalThis as unknown as { Bun: { gc(force: boolean): void } }).Bun.gc(true);
  } else {
    setFlagsFromString("--expose-gc");
    (runInNewContext("gc") as () => void)();
  }
}

// Goal: nothing that a client sends makes the server hold more than it may. Method: clients
// send for ever and never read; the server must close, stop reading, or drop what it reads.
for (const flood of FLOODS) {
  test(`memory stays bounded. ${flood.name}`, async (t) => {
    const target = await Target.start(t);
    await collectGarbage();
    const beforeBytes = heldBytes();
    const end = await pour(target.port, flood);
    await collectGarbage();
    const growthBytes = heldBytes() - beforeBytes;
    t.diagnostic(`${end}, ${(growthBytes / MIB).toFixed(0)} MiB more`);
    assert.ok(growthBytes < GROWTH_BYTES_MAX, `${end}: ${growthBytes} bytes more are held`);
    await target.settled();
    await target.assertWell();
  });
}
