import { rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { Flags, Generator, LoadTarget } from "../peers/generator.ts";
import { PeerProcess } from "../peers/peer-process.ts";
import type { Peer, PeerCommand } from "../peers/peers.ts";
import { folderOf, SIZE, type System } from "./systems.ts";

const LEADER_MS_MAX = 60_000;
const ATTEMPTS_MAX = 10;
const ATTEMPT_MS = 1_000;

/** Three servers of a system, on this machine. */
export class RunningCluster {
  readonly system: System;
  readonly members: readonly PeerProcess[];
  readonly #kit: string;
  readonly #dir: string;
  readonly #commands: readonly PeerCommand[];

  private constructor(
    system: System,
    members: readonly PeerProcess[],
    options: { kit: string; dir: string; commands: readonly PeerCommand[] },
  ) {
    this.system = system;
    this.members = members;
    this.#kit = options.kit;
    this.#dir = options.dir;
    this.#commands = options.commands;
  }

  /** @throws when one does not come up; then none is left */
  static async start(system: System, options: { readonly kit: string; readonly dir: string }) {
    const { kit, dir } = options;
    const places = Array.from({ length: SIZE }, (_, place) => place);
    const commands = places.map((place) =>
      system.command(place, { kit, dir: folderOf(dir, place) }),
    );
    // None opens its port before the others are there, in some systems.
    const starts = await Promise.allSettled(
      commands.map((command, place) =>
        startMember(`${system.name}-${place}`, command, folderOf(dir, place)),
      ),
    );
    const members = starts.flatMap((start) => (start.status === "fulfilled" ? [start.value] : []));
    const failed = starts.find((start) => start.status === "rejected");
    if (failed !== undefined) {
      await Promise.all(members.map((member) => member.kill()));
      throw failed.reason;
    }
    return new RunningCluster(system, members, { kit, dir, commands });
  }

  get pids(): readonly number[] {
    return this.members.map(({ pid }) => pid);
  }

  /** A first load; makes the log that is written to. Again when not all servers have found each other yet. */
  async warmUp(generator: Generator, flags: Flags): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        await generator.run(this.targetFrom(0), flags);
        return;
      } catch (error) {
        if (attempt === ATTEMPTS_MAX) throw error;
        await sleep(ATTEMPT_MS);
      }
    }
  }

  /** Waits for the server that leads what is written to. */
  async leader(): Promise<number> {
    const giveUpAt = performance.now() + LEADER_MS_MAX;
    for (;;) {
      const place = await this.system.findLeader(this.#kit);
      if (place !== undefined) return place;
      if (performance.now() > giveUpAt) {
        throw new Error(`Cannot use ${this.system.name}: nobody leads`);
      }
      await sleep(100);
    }
  }

  /**
   * For the generator. Clients that do not find the leader by themselves are told the servers in
   * this order.
   */
  targetFrom(first: number, options = ""): LoadTarget {
    const addresses = this.#commands.map(({ address }) => address);
    const ordered = [...addresses.slice(first), ...addresses.slice(0, first)];
    const flags = [
      ...["-peer", this.system.protocol, "-addr", ordered.join(",")],
      ...["-opts", options, "-replicas", `${SIZE}`],
    ];
    return { flags, pids: this.pids };
  }

  async stop(): Promise<void> {
    await Promise.all(this.members.map((member) => member.stop()));
  }

  async discard(): Promise<void> {
    await this.stop();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

/** Starts one server. Its output goes to `output.log` in `dir`. */
export function startMember(name: string, command: PeerCommand, dir: string): Promise<PeerProcess> {
  const peer: Peer = {
    ...{ name, title: name, protocol: "", synced: "", relaxed: "" },
    ...{ fillBatch: 1, fillInFlight: 1, fillPart: 1 },
    prepare: () => command,
  };
  return PeerProcess.start(peer, { kit: "", dir, setting: "synced" });
}
