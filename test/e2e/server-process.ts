import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { LogService } from "../../src/gen/proglog/v1/log_service_pb.ts";
import { TopicService } from "../../src/gen/proglog/v1/topic_service_pb.ts";

/** The executable under test; set PROGLOG_BIN to test another one. */
export const EXECUTABLE = resolve(process.env["PROGLOG_BIN"] ?? "dist/proglog");
if (!existsSync(EXECUTABLE)) throw new Error(`No ${EXECUTABLE}: run "npm run build" first`);

const READY_MS_MAX = 20_000;

/** A fresh folder on the disk of the checkout: a RAM disk would hide what syncs do. */
export function makeFolder(name: string): string {
  mkdirSync("dist/e2e", { recursive: true });
  return mkdtempSync(join(resolve("dist/e2e"), `${name}-`));
}

export function removeFolder(dir: string): void {
  rmSync(dir, { recursive: true, force: true });
}

/** One run of the executable as a server. Ends by {@link stop} or {@link kill}; nothing is left over. */
export class ServerProcess {
  readonly address: string;
  readonly #child: ChildProcess;
  readonly #ended: Promise<number>;
  #errors: string;

  private constructor(
    child: ChildProcess,
    address: string,
    ended: Promise<number>,
    errors: string,
  ) {
    this.#child = child;
    this.address = address;
    this.#ended = ended;
    this.#errors = errors;
    child.stderr?.on("data", (chunk: Buffer) => {
      this.#errors = (this.#errors + chunk.toString()).slice(-20_000);
    });
  }

  /** Resolves when the server says that it listens. Rejects with what it printed when it ends first. */
  static start(
    dataDir: string,
    options: {
      readonly flags?: readonly string[];
      readonly cwd?: string;
      readonly env?: Readonly<Record<string, string>>;
    } = {},
  ): Promise<ServerProcess> {
    const child = spawn(
      EXECUTABLE,
      ["serve", "--listen", "127.0.0.1:0", "--data-dir", dataDir, ...(options.flags ?? [])],
      {
        stdio: ["ignore", "ignore", "pipe"],
        ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
        env: { ...process.env, ...options.env },
      },
    );
    const ended = new Promise<number>((done) => {
      child.once("exit", (code, signal) => done(code ?? (signal === "SIGKILL" ? 137 : 143)));
    });
    return new Promise((done, refuse) => {
      let said = "";
      const timer = setTimeout(() => {
        child.kill("SIGKILL");
        refuse(new Error(`The server was not ready after ${READY_MS_MAX} ms: ${said}`));
      }, READY_MS_MAX);
      const listen = (chunk: Buffer): void => {
        said += chunk.toString();
        const address = /^listening on (\S+)$/m.exec(said)?.[1];
        if (address === undefined) return;
        clearTimeout(timer);
        child.stderr.off("data", listen);
        done(new ServerProcess(child, address, ended, said));
      };
      child.stderr.on("data", listen);
      void ended.then((code) => {
        clearTimeout(timer);
        refuse(Object.assign(new Error(`The server ended with ${code}: ${said}`), { code, said }));
      });
    });
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  get errors(): string {
    return this.#errors;
  }

  get exitCode(): Promise<number> {
    return this.#ended;
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** Asks it to drain. @returns its exit code. */
  stop(): Promise<number> {
    this.#child.kill("SIGTERM");
    return this.#ended;
  }

  /** As a power cut for the process: no handler runs. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#ended;
  }

  /** Stock clients over gRPC, each call on connections of its own set. */
  clients(): {
    readonly log: ReturnType<typeof createClient<typeof LogService>>;
    readonly topics: ReturnType<typeof createClient<typeof TopicService>>;
  } {
    const transport = createGrpcTransport({ baseUrl: `http://${this.address}` });
    return {
      log: createClient(LogService, transport),
      topics: createClient(TopicService, transport),
    };
  }
}

/** Runs the executable as a command. */
export function runCommand(
  args: readonly string[],
  options: {
    readonly input?: string | Uint8Array;
    readonly cwd?: string;
    readonly env?: Readonly<Record<string, string>>;
    readonly command?: string;
  } = {},
): Promise<{ readonly code: number; readonly stdout: Buffer; readonly stderr: string }> {
  return new Promise((done, refuse) => {
    const child = spawn(options.command ?? EXECUTABLE, args, {
      stdio: ["pipe", "pipe", "pipe"],
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      env: { ...process.env, ...options.env },
    });
    const stdout: Buffer[] = [];
    let stderr = "";
    child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    child.once("error", refuse);
    // The command may end before it has read everything.
    child.stdin.on("error", () => {});
    child.once("close", (code) =>
      done({ code: code ?? -1, stdout: Buffer.concat(stdout), stderr }),
    );
    child.stdin.end(options.input ?? "");
  });
}
