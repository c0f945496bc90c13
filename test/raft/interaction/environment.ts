import assert from "node:assert/strict";
import { EMPTY_BYTES } from "../../../src/base/bytes.ts";
import { snapshotMessage } from "../messages.ts";
import { Output } from "./output.ts";
import { type Envelope, networkEnvelope, Replica, type Thread, type Work } from "./replica.ts";
import { type Argument, type Command, idsOf, plainIds, textOf } from "./script.ts";
import { type TestConfig, TestCore } from "./test-core.ts";

const ROLES = ["StateFollower", "StateCandidate", "StateLeader", "StatePreCandidate"];
const TRANSITIONS = ["auto", "implicit", "explicit"];
const DROPPED = "raft proposal dropped";

/** Rounds of "stabilize" after which a script is taken to run for ever. */
const ROUNDS_MAX = 1000;

/** What the library has as "unlimited". */
const INFLIGHT_UNLIMITED = 2 ** 31 - 1;

/** Runs the commands of etcd's interaction scripts, and says what they print. */
export class Environment {
  readonly #output = new Output();
  readonly #core: TestCore;
  readonly #replicas: Replica[] = [];
  #messages: readonly Envelope[] = [];

  constructor(module: WebAssembly.Module) {
    this.#core = new TestCore(module, (line, level) => this.#output.log(line, level));
  }

  /** @returns what the command printed, without the end of the last line; "ok" when that is nothing */
  run(command: Command): string {
    const act = this.#commands[command.name];
    assert.ok(act !== undefined, `unknown command ${command.name}`);
    const said = act(command.args, command.input);
    const error = typeof said === "string" ? said : "";
    if (error !== "" && this.#output.isQuiet) return error;
    this.#output.print(error);
    return (this.#output.take() || "ok").replace(/\n$/, "");
  }

  /** What one returns as a text is the library's error. */
  readonly #commands: Readonly<
    Record<string, (args: readonly Argument[], input: string) => unknown>
  > = {
    "add-nodes": (args) => this.#addNodes(args),
    campaign: (args) => this.#first(args).group.campaign(),
    compact: (args) => {
      this.#first(args).log.compact(Number(args[1]?.key));
      this.#printLog(this.#first(args));
    },
    "deliver-msgs": (args) => this.#deliverSome(args),
    "forget-leader": (args) => this.#core.forgetLeader(this.#first(args).group),
    "log-level": (args) => this.#output.setLevel(args[0]?.key ?? ""),
    "process-ready": (args) => this.#each(args, "handling Ready", (one) => this.#ready(one)),
    "process-append-thread": (args) => this.#threads(args, "append"),
    "process-apply-thread": (args) => this.#threads(args, "apply"),
    propose: (args) => {
      const data = new TextEncoder().encode(args[1]?.key);
      return this.#first(args).group.propose([data]) === "ok" ? "" : DROPPED;
    },
    "propose-conf-change": (args, input) =>
      this.#core.proposeConfChange(this.#first(args).group, {
        IsV1: textOf(args, "v1") === "true",
        Transition: TRANSITIONS.indexOf(textOf(args, "transition") ?? "auto"),
        Changes: input,
      }),
    "raft-log": (args) => this.#printLog(this.#first(args)),
    "raft-state": () => this.#printStates(),
    "report-unreachable": (args) => this.#first(args).group.reportUnreachable(Number(args[1]?.key)),
    "send-snapshot": (args) => this.#sendSnapshot(args),
    "set-randomized-election-timeout": (args) =>
      this.#core.setElectionTimeout(this.#first(args).group, Number(textOf(args, "timeout"))),
    stabilize: (args) => this.#stabilize(args),
    status: (args) => this.#output.print(this.#core.progress(this.#first(args).group)),
    "tick-election": (args) => this.#tick(args, this.#first(args).config.ElectionTick),
    "tick-heartbeat": (args) => this.#tick(args, this.#first(args).config.HeartbeatTick),
    "transfer-leadership": (args) => {
      const from = this.#replica(Number(textOf(args, "from")));
      from.group.transferLeader(Number(textOf(args, "to")));
    },
  };

  #addNodes(args: readonly Argument[]): void {
    const index = Number(textOf(args, "index") ?? 0);
    const term = index === 0 ? 0 : 1;
    const [voters, learners] = [idsOf(args, "voters"), idsOf(args, "learners")];
    const conf = { voters, learners, votersOutgoing: [], learnersNext: [], autoLeave: false };
    for (let left = Number(args[0]?.key); left > 0; left -= 1) {
      const config = testConfig(this.#replicas.length + 1, args);
      const start = { index, term, conf, data: EMPTY_BYTES };
      this.#replicas.push(new Replica(this.#core, config, start));
    }
  }

  #deliverSome(args: readonly Argument[]): void {
    const type = textOf(args, "type");
    let count = 0;
    for (const id of plainIds(args)) count += this.#deliver(id, { type, isDrop: false });
    for (const id of idsOf(args, "drop")) count += this.#deliver(id, { type, isDrop: true });
    if (count === 0) this.#output.print("no messages\n");
  }

  /** Delivers or drops what is on its way to a replica. @returns how much it was */
  #deliver(id: number, how: { readonly type?: string | undefined; isDrop: boolean }): number {
    const isChosen = ({ to, isLocal, text }: Envelope) =>
      to === id &&
      !(how.isDrop && isLocal) &&
      (how.type === undefined || text.split(" ")[1] === how.type);
    const chosen = this.#messages.filter(isChosen);
    this.#messages = this.#messages.filter((message) => !isChosen(message));
    for (const message of chosen) {
      this.#output.print(`${how.isDrop ? "dropped: " : ""}${message.text}\n`);
      const error = how.isDrop ? "" : message.deliver(this.#replica(id));
      if (error !== "") this.#output.print(`${error}\n`);
    }
    return chosen.length;
  }

  #stabilize(args: readonly Argument[]): void {
    const { level } = this.#output;
    const wanted = textOf(args, "log-level");
    if (wanted !== undefined) this.#output.setLevel(wanted);
    const ids = plainIds(args);
    const replicas = ids.length === 0 ? this.#replicas : ids.map((id) => this.#replica(id));
    let rounds = 0;
    while (this.#stabilizeOnce(replicas)) {
      rounds += 1;
      assert.ok(rounds < ROUNDS_MAX, "the script never settles");
    }
    this.#output.level = level;
  }

  /** @returns false when nobody has anything to do */
  #stabilizeOnce(replicas: readonly Replica[]): boolean {
    let isBusy = false;
    const visit = (what: string, has: (one: Replica) => boolean, act: (one: Replica) => void) => {
      for (const one of replicas.filter(has)) {
        isBusy = true;
        this.#output.print(`> ${one.config.ID} ${what}\n`);
        this.#output.indented(() => act(one));
      }
    };
    const isTo = (one: Replica) => this.#messages.some(({ to }) => to === one.config.ID);
    const deliver = (one: Replica) => this.#deliver(one.config.ID, { isDrop: false });
    const ready = (one: Replica) => this.#ready(one);
    visit("handling Ready", (one) => one.hasReady, ready);
    visit("receiving messages", isTo, deliver);
    for (const thread of ["append", "apply"] as const) {
      const works = (one: Replica) => one.works[thread];
      const act = (one: Replica) => {
        while (works(one).length > 0) this.#thread(one, thread);
      };
      visit(`processing ${thread} thread`, (one) => works(one).length > 0, act);
    }
    return isBusy;
  }

  #ready(replica: Replica): void {
    const work = replica.takeReady();
    this.#output.print(work.text);
    this.#do(work);
  }

  #threads(args: readonly Argument[], thread: Thread): void {
    this.#each(args, `processing ${thread} thread`, (one) => this.#thread(one, thread));
  }

  #thread(replica: Replica, thread: Thread): void {
    const work = replica.works[thread].shift();
    if (work === undefined) {
      this.#output.print(`no ${thread} work to perform`);
      return;
    }
    this.#output.print(`Processing:\n${work.text}\n`);
    this.#do(work);
    this.#output.print("Responses:\n");
    for (const response of work.messages) this.#output.print(`${response.text}\n`);
  }

  #do(work: Work): void {
    work.run();
    this.#messages = [...this.#messages, ...work.messages];
  }

  #sendSnapshot(args: readonly Argument[]): void {
    const [from = 0, to = 0] = plainIds(args);
    const { log, group } = this.#replica(from);
    const snapshot = log.snapshot();
    assert.ok(snapshot !== undefined);
    const { term } = group.status().hardState;
    const message = networkEnvelope(this.#core, snapshotMessage({ from, to, term, snapshot }));
    this.#messages = [...this.#messages, message];
    this.#output.print(message.text);
  }

  #printLog({ log }: Replica): void {
    const [first, last] = [log.firstIndex(), log.lastIndex()];
    const isEmpty = last < first;
    if (isEmpty) this.#output.print(`log is empty: first index=${first}, last index=${last}`);
    else this.#output.print(this.#core.describeEntries(log.all()));
  }

  #printStates(): void {
    for (const { config, group } of this.#replicas) {
      const { conf, role, hardState, leader } = group.status();
      const isVoter = [...conf.voters, ...conf.votersOutgoing].includes(config.ID);
      const about = `${ROLES[role]} ${isVoter ? "(Voter)" : "(Non-Voter)"}`;
      this.#output.print(`${config.ID}: ${about} Term:${hardState.term} Lead:${leader}\n`);
    }
  }

  #tick(args: readonly Argument[], ticks: number): void {
    for (let left = ticks; left > 0; left -= 1) this.#first(args).group.tick();
  }

  /** With several replicas each one's output is indented under a line that names it. */
  #each(args: readonly Argument[], what: string, act: (replica: Replica) => void): void {
    const ids = plainIds(args);
    for (const id of ids) {
      if (ids.length === 1) {
        act(this.#replica(id));
      } else {
        this.#output.print(`> ${id} ${what}\n`);
        this.#output.indented(() => act(this.#replica(id)));
      }
    }
  }

  #first(args: readonly Argument[]): Replica {
    return this.#replica(Number(args[0]?.key));
  }

  #replica(id: number): Replica {
    const replica = this.#replicas[id - 1];
    assert.ok(replica !== undefined, `no node ${id}`);
    return replica;
  }
}

/** Defaults are those of etcd's own environment. */
function testConfig(id: number, args: readonly Argument[]): TestConfig {
  const index = Number(textOf(args, "index") ?? 0);
  const isSet = (key: string) => textOf(args, key) === "true";
  return {
    ID: id,
    Applied: index,
    ElectionTick: 3,
    HeartbeatTick: 1,
    MaxInflightMsgs: Number(textOf(args, "inflight") ?? INFLIGHT_UNLIMITED),
    MaxCommittedSizePerReady: Number(textOf(args, "max-committed-size-per-ready") ?? 0),
    AsyncStorageWrites: isSet("async-storage-writes"),
    PreVote: isSet("prevote"),
    CheckQuorum: isSet("checkquorum"),
    DisableConfChangeValidation: isSet("disable-conf-change-validation"),
    StepDownOnRemoval: isSet("step-down-on-removal"),
    IsLeaseBased: textOf(args, "read-only") === "lease-based",
    Voters: idsOf(args, "voters"),
    Learners: idsOf(args, "learners"),
    HardTerm: 0,
    HardCommit: index,
  };
}
