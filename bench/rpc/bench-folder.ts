import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Server } from "./servers.ts";

/** What a benchmark has started and made; {@link Bench.end} leaves nothing behind. */
export class Bench {
  /** A fresh folder on the disk of the checkout. */
  readonly dir: string;
  readonly #endings: (() => Promise<void>)[] = [];

  constructor(name: string) {
    mkdirSync("dist/bench", { recursive: true });
    this.dir = mkdtempSync(join(resolve("dist/bench"), `${name}-`));
  }

  folder(name: string): string {
    return join(this.dir, name);
  }

  /** Registers a server that {@link end} stops. */
  async start(starting: Promise<Server>): Promise<Server> {
    const server = await starting;
    this.onEnd(server.stop);
    return server;
  }

  /** @param ending stops something; may be called when that has stopped already */
  onEnd(ending: () => Promise<void>): void {
    this.#endings.push(ending);
  }

  async end(): Promise<void> {
    await Promise.all(this.#endings.map((ending) => ending()));
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** Runs `body`, and cleans up also when it fails or the user ends it. */
export async function withBench(name: string, body: (bench: Bench) => Promise<void>) {
  const bench = new Bench(name);
  const interrupted = (): void => {
    void bench.end().then(() => process.exit(130));
  };
  process.once("SIGINT", interrupted);
  process.once("SIGTERM", interrupted);
  try {
    await body(bench);
  } finally {
    await bench.end();
  }
}
