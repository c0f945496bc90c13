import { ProglogError } from "../../src/base/errors.ts";
import { integerFrom, makeRandom } from "../support/prng.ts";
import { type Member, RaftCluster } from "./raft-cluster.ts";

/** What a run came to. */
export interface FaultResult {
  readonly acknowledged: number;
  readonly applied: number;
  readonly crashes: number;
  readonly snapshots: number;
  readonly none: number;
  readonly unknown: number;
  readonly reads: number;
  readonly confChanges: number;
  readonly transfers: number;
}

/** A group of several replicas on a bad network, with crashes and changes of membership, judged as it goes. */
export class FaultRun {
  readonly #seed: number;
  readonly #random: () => number;
  get cluster(): RaftCluster {
    return this.#cluster;
  }
  readonly #cluster: RaftCluster;
  /** By index: what the first replica that applied it found there. */
  readonly #agreed = new Map<number, { readonly term: number; readonly text: string }>();
  readonly #indexOf = new Map<string, number>();
  readonly #acknowledged = new Set<string>();
  readonly #none = new Set<string>();
  readonly #cut = new Set<string>();
  readonly #counts = {
    unknown: 0,
    crashes: 0,
    snapshots: 0,
    reads: 0,
    confChanges: 0,
    transfers: 0,
  };
  #isQuiet = false;
  #nextId = 1;
  #maxAcknowledged = 0;
  #fault: Error | undefined;

  constructor(seed: number) {
    this.#seed = seed;
    this.#random = makeRandom(seed);
    const count = this.#chance(0.5) ? 3 : 5;
    const voters = count === 5 && this.#chance(0.5) ? [1, 2, 3] : undefined;
    this.#cluster = new RaftCluster({
      ...{ seed, count },
      ...(voters === undefined ? {} : { voters }),
      limits: {
        idleTicks: this.#chance(0.5) ? 5 : 50,
        diskHungTicks: 20,
        snapshotTicksMax: 30,
        messagePayloadBytesMax: this.#chance(0.3) ? 24 : 4096,
        tailBytesMax: this.#chance(0.3) ? 64 : 1 << 20,
        keptBytesMax: this.#chance(0.5) ? 16 : 1 << 20,
        outboxMessagesMax: this.#chance(0.3) ? 3 : 256,
      },
    });
    const flushMax = this.#chance(0.5) ? 5 : 60;
    this.#cluster.flushMs = () => this.#between(0, flushMax);
    this.#route();
    this.#cluster.onApply = (member, index, term, text) => this.#applied(member, index, term, text);
    this.#cluster.onStart = (member) => this.#prepare(member);
  }

  async run(seconds: number): Promise<FaultResult> {
    const { clock, members } = this.#cluster;
    for (const member of members) this.#start(member);
    this.#every(20, 80, () => this.#proposeSome());
    this.#every(100, 300, () => this.#read());
    this.#every(500, 3000, () => this.#pick().save(this.#chance(0.5) ? 0 : this.#between(0, 50)));
    this.#every(1500, 7000, () => this.#partition());
    this.#every(1500, 6000, () => this.#crash());
    this.#every(3000, 9000, () => this.#transfer());
    this.#every(2000, 6000, () => this.#changeConf());
    this.#every(4000, 12000, () => this.#troubleDisk());
    // Sometimes nobody wants anything for a while, so that groups rest.
    this.#every(5000, 15000, () => {
      this.#restingUntilMs = clock.monotonicMs() + this.#between(1000, 6000);
    });
    for (let second = 0; second < seconds; second += 1) {
      await this.#cluster.run(1000);
      this.#check();
    }
    await this.#heal();
    return {
      ...this.#counts,
      acknowledged: this.#acknowledged.size,
      applied: this.#agreed.size,
      none: this.#none.size,
    };
  }

  #restingUntilMs = 0;

  #start(member: Member): void {
    const { group } = member;
    if (group !== undefined) return;
    member.start().catch((error) => this.#fail(`node ${member.id} does not recover: ${error}`));
  }

  #prepare(member: Member): void {
    const { machine } = member;
    machine.install = async () => {
      await new Promise<void>((resolve) => {
        member.clock.schedule(this.#between(0, 800), resolve);
      });
      if (this.#chance(0.2)) throw new Error("The sender has gone");
      this.#counts.snapshots += 1;
    };
  }

  #route(): void {
    const dropRate = this.#chance(0.3) ? 0 : this.#random() * 0.15;
    const repeatRate = this.#random() * 0.1;
    const delayMax = 5 + this.#random() * 100;
    const delay = () => this.#random() * delayMax * (this.#chance(0.02) ? 10 : 1);
    this.#cluster.route = (from, to) => {
      if (this.#cut.has(`${from.id}>${to.id}`)) return [];
      if (this.#isQuiet) return [1];
      if (this.#chance(dropRate)) return [];
      return this.#chance(repeatRate) ? [delay(), delay()] : [delay()];
    };
  }

  #proposeSome(): void {
    if (this.#cluster.clock.monotonicMs() < this.#restingUntilMs) return;
    const leader = this.#cluster.leader;
    const member = leader !== undefined && this.#chance(0.7) ? leader : this.#pick();
    for (let left = this.#between(1, 4); left > 0; left -= 1) this.#propose(member);
  }

  #propose(member: Member): Promise<void> {
    const id = this.#nextId;
    this.#nextId += 1;
    const text = `${this.#chance(0.2) ? "C" : "c"}${id}`;
    return member.propose(text).then(
      (outcome) => this.#acknowledge(member, text, outcome),
      (error) => this.#refused(text, error),
    );
  }

  #acknowledge(member: Member, text: string, outcome: string): void {
    const index = this.#indexOf.get(text);
    if (outcome !== `did ${text}`) this.#fail(`${text} was answered with ${outcome}`);
    if (index === undefined) {
      this.#fail(`${text} was acknowledged by node ${member.id} and never applied`);
      return;
    }
    this.#acknowledged.add(text);
    this.#maxAcknowledged = Math.max(this.#maxAcknowledged, index);
  }

  #refused(text: string, error: unknown): void {
    if (!(error instanceof ProglogError)) {
      if (`${error}` !== "Error: It is down") this.#fail(`${text} failed: ${error}`);
      return;
    }
    const outcome = error.metadata["outcome"];
    if (outcome === "unknown") this.#counts.unknown += 1;
    else this.#none.add(text);
  }

  #applied(member: Member, index: number, term: number, text: string): void {
    const agreed = this.#agreed.get(index);
    if (agreed === undefined) {
      this.#agreed.set(index, { term, text });
      for (const command of text.split("+")) {
        if (this.#indexOf.has(command)) this.#fail(`${command} is in the log twice`);
        this.#indexOf.set(command, index);
        if (this.#none.has(command)) this.#fail(`${command} was refused, and is applied`);
      }
    } else if (agreed.term !== term || agreed.text !== text) {
      this.#fail(
        `node ${member.id} applies ${term}/${index} ${text}, others ${agreed.term} ${agreed.text}`,
      );
    }
  }

  #read(): void {
    const member = this.#pick();
    const { group, machine } = member;
    if (group === undefined) return;
    const floor = this.#maxAcknowledged;
    group.readIndex().then(
      () => {
        this.#counts.reads += 1;
        const isCurrent = member.group === group;
        if (isCurrent && group.appliedIndex < floor) {
          this.#fail(
            `node ${member.id} read at ${machine.index}, ${floor} was acknowledged before`,
          );
        }
      },
      () => {},
    );
  }

  #partition(): void {
    this.#cut.clear();
    if (this.#isQuiet || this.#chance(0.4)) return;
    const isOneWay = this.#chance(0.25);
    const side = new Map(this.#cluster.members.map(({ id }) => [id, this.#chance(0.5)]));
    for (const from of this.#cluster.members) {
      for (const to of this.#cluster.members) {
        const isApart = from !== to && side.get(from.id) !== side.get(to.id);
        if (!isApart || (isOneWay && side.get(from.id) !== true)) continue;
        this.#cut.add(`${from.id}>${to.id}`);
        if (this.#chance(0.5)) to.node?.unreachable(from.nodeId);
      }
    }
  }

  #crash(): void {
    if (this.#isQuiet) return;
    const leader = this.#cluster.leader;
    const first = leader !== undefined && this.#chance(0.4) ? leader : this.#pick();
    const victims = this.#chance(0.15) ? this.#cluster.members : [first];
    for (const member of victims) {
      if (!member.isUp) continue;
      this.#counts.crashes += 1;
      member.crash((count) => this.#between(0, count));
      for (const other of this.#cluster.members) {
        if (this.#chance(0.8)) other.node?.unreachable(member.nodeId);
      }
      this.#cluster.clock.schedule(this.#between(50, 3000), () => {
        if (!member.isUp) this.#start(member);
      });
    }
  }

  #transfer(): void {
    const { leader } = this.#cluster;
    const to = this.#pick();
    if (leader?.group === undefined || this.#isQuiet) return;
    leader.group.transferLeadership(to.id).then(
      () => {
        this.#counts.transfers += 1;
      },
      () => {},
    );
    if (this.#chance(0.1)) leader.group.stepDown();
  }

  #changeConf(): void {
    const { leader, members } = this.#cluster;
    if (leader?.group === undefined || members.length < 5 || this.#isQuiet) return;
    const voters = new Set(leader.group.conf.voters);
    const { id } = this.#pick();
    const isVoter = voters.has(id);
    if (isVoter && voters.size <= 3) return;
    const type = isVoter
      ? this.#oneOf(["remove", "add-learner"] as const)
      : this.#oneOf(["add-voter", "add-learner", "add-voter"] as const);
    leader.group.changeConf([{ type, replicaId: id }]).then(
      () => {
        this.#counts.confChanges += 1;
      },
      (error) => {
        if (!(error instanceof ProglogError)) this.#fail(`a change of membership fails: ${error}`);
      },
    );
  }

  #troubleDisk(): void {
    if (this.#isQuiet) return;
    const { journal } = this.#pick();
    const isHang = this.#chance(0.5);
    if (isHang) journal.isHung = true;
    else journal.fill();
    this.#cluster.clock.schedule(this.#between(500, 6000), () => {
      journal.isHung = false;
      journal.isDiskFull = false;
    });
  }

  /** Everything works again: all must come to the same, and go on. */
  async #heal(): Promise<void> {
    const { members, clock } = this.#cluster;
    this.#isQuiet = true;
    this.#cut.clear();
    for (const { journal } of members) {
      journal.isHung = false;
      journal.isDiskFull = false;
    }
    await this.#cluster.run(12000);
    for (const member of members) if (!member.isUp) this.#start(member);
    await this.#cluster.run(8000);
    this.#restingUntilMs = Number.POSITIVE_INFINITY;
    const { leader } = this.#cluster;
    if (leader === undefined) throw this.#error("nobody leads in the end");
    let isDone = false;
    this.#propose(leader).then(() => {
      isDone = true;
    });
    for (let tries = 0; tries < 100 && !(isDone && this.#isConverged()); tries += 1) {
      await this.#cluster.run(500);
    }
    this.#check();
    if (!isDone) throw this.#error(`nothing is decided any more at ${clock.monotonicMs()} ms`);
    if (!this.#isConverged()) throw this.#error(`replicas do not come together: ${this.#places()}`);
    this.#judge();
  }

  #belongs(member: Member): boolean {
    const conf = this.#cluster.leader?.group?.conf;
    return conf?.voters.includes(member.id) === true || conf?.learners.includes(member.id) === true;
  }

  #isConverged(): boolean {
    const end = this.#cluster.leader?.group?.appliedIndex;
    return this.#cluster.members
      .filter((member) => this.#belongs(member))
      .every(({ group }) => group?.appliedIndex === end);
  }

  #places(): string {
    return this.#cluster.members
      .map(({ id, group }) => `${id}: ${group?.role} ${group?.term}/${group?.appliedIndex}`)
      .join(", ");
  }

  #judge(): void {
    const texts = [...this.#agreed]
      .sort(([left], [right]) => left - right)
      .flatMap(([, { text }]) => text.split("+"));
    for (const member of this.#cluster.members) {
      const { machine, id, failures, poisonedCount } = member;
      if (failures.length > 0) throw this.#error(`node ${id} failed: ${failures[0]}`);
      if (poisonedCount > 0) throw this.#error(`the core of node ${id} failed`);
      const wanted = this.#belongs(member) ? texts : texts.slice(0, machine.applied.length);
      if (machine.applied.join() !== wanted.join()) throw this.#error(`node ${id} has another log`);
    }
    const present = new Set(texts);
    for (const text of this.#acknowledged) {
      if (!present.has(text)) throw this.#error(`${text} was acknowledged and is lost`);
    }
    for (const text of this.#none) {
      if (present.has(text)) throw this.#error(`${text} was refused and is there`);
    }
  }

  #check(): void {
    if (this.#fault !== undefined) throw this.#fault;
    for (const { id, failures } of this.#cluster.members) {
      if (failures.length > 0) {
        const [first] = failures;
        throw this.#error(`node ${id} failed: ${first instanceof Error ? first.stack : first}`);
      }
    }
  }

  #fail(message: string): void {
    this.#fault ??= this.#error(message);
  }

  #error(message: string): Error {
    const ms = Math.round(this.#cluster.clock.monotonicMs());
    return new Error(`SEED=${this.#seed} at ${ms} ms: ${message}`);
  }

  #every(minMs: number, maxMs: number, work: () => void): void {
    const { clock } = this.#cluster;
    const again = () => {
      work();
      clock.schedule(this.#between(minMs, maxMs), again);
    };
    clock.schedule(this.#between(minMs, maxMs), again);
  }

  #pick(): Member {
    return this.#oneOf(this.#cluster.members);
  }

  #oneOf<T>(items: readonly T[]): T {
    return items[Math.floor(this.#random() * items.length)] as T;
  }

  #chance(rate: number): boolean {
    return this.#random() < rate;
  }

  #between(min: number, max: number): number {
    return integerFrom(this.#random, min, max);
  }
}
