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
const FLOOD_BYTES = 192 * MIB;
/** What may be held more than before: our limits for one connection, and what runtimes keep. */
const HELD_BYTES_MAX = 48 * MIB;
/**
 * The same with what runtimes allocate for themselves. It is counted from another such flood
 * on: allocators keep pages for the next time (over 100 MiB of them on Node, and no more after four
 * times the flood), while what is really held comes again.
 */
const RSS_BYTES_MAX = 128 * MIB;
/**
 * Nothing is taken in so many looks, one after the other: the server has stopped reading. Looks
 * are counted, not time: a machine that stands still for a second has had one look.
 */
const STALLED_LOOKS = 30;
/** The same for a server that has to close the connection. */
const UNCLOSED_LOOKS = 1000;
const LOOK_MS = 10;
/** So long is poured into a server that bears it, when all of a flood would take minutes. */
const POUR_MS_MAX = 1000;

/**
 * Sends until the server closes, or reads no more, or has taken everything, or for long enough.
 * The client never reads.
 */
async function pour(
  socket: net.Socket,
  flood: Flood,
): Promise<"closed" | "stalled" | "taken" | "enough"> {
  const untilMs = performance.now() + POUR_MS_MAX;
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
    const looks = flood.isClosed === true ? UNCLOSED_LOOKS : STALLED_LOOKS;
    const event = await firstWithin(looks, [closed, drained]);
    if (event !== "drained") return event;
    if (flood.isClosed !== true && performance.now() > untilMs) return "enough";
  }
  return "taken";
}

/** @returns what comes first, or "stalled" when nothing does in so many looks */
async function firstWithin<T>(
  looks: number,
  events: readonly Promise<T>[],
): Promise<T | "stalled"> {
  for (let look = 0; look < looks; look += 1) {
    let timer: NodeJS.Timeout | undefined;
    const none = new Promise<"none">((resolve) => {
      timer = setTimeout(() => resolve("none"), LOOK_MS);
    });
    const event = await Promise.race([...events, none]);
    clearTimeout(timer);
    if (event !== "none") return event;
  }
  return "stalled";
}

interface Memory {
  readonly held: number;
  readonly rss: number;
}

function memory(): Memory {
  const { heapUsed, external, rss } = process.memoryUsage();
  return { held: heapUsed + external, rss };
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
    // Records in the topic are to be kept, but not counted here: so none gets in.
    const topic = target.api.topics.topic("default");
    const { promise: hold, resolve: release } = Promise.withResolvers<void>();
    topic.hold = hold;
    const once = async () => {
      await collectGarbage();
      const before = memory();
      const socket = net.connect({ host: "127.0.0.1", port: target.port });
      const end = await pour(socket, flood);
      await collectGarbage();
      return { before, after: memory(), end, socket };
    };
    // Both connections stay until the end: what is held for the first is not there for the second.
    const first = await once();
    const { before, after, end, socket } = await once();
    first.socket.destroy();
    socket.destroy();
    release();
    topic.hold = undefined;
    const more = { held: after.held - before.held, rss: after.rss - before.rss };
    t.diagnostic(`${end}, ${toMib(more.held)} more held, ${toMib(more.rss)} more in all`);
    if (flood.isClosed === true) assert.equal(end, "closed");
    assert.ok(more.held < HELD_BYTES_MAX, `${end}: ${more.held} bytes more are held`);
    assert.ok(more.rss < RSS_BYTES_MAX, `${end}: the process has ${more.rss} bytes more`);
    await target.settled();
    await target.assertWell();
  });
}

const toMib = (bytes: number): string => `${(bytes / MIB).toFixed(0)} MiB`;
