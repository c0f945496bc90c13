import { readFile } from "node:fs/promises";
import { type Client, Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { Failover } from "../client/failover.ts";
import { CONNECTION_LOST, type Failure, failureOf } from "../client/failure.ts";
import { connect } from "../client/transport.ts";
import { ClusterService } from "../gen/proglog/v1/cluster_service_pb.ts";
import { LogService } from "../gen/proglog/v1/log_service_pb.ts";
import { TopicService } from "../gen/proglog/v1/topic_service_pb.ts";
import { stateOf } from "../server/platform-errors.ts";
import type { CommandInput } from "./command.ts";
import type { CommandContext } from "./context.ts";
import { CommandError, UsageError } from "./errors.ts";
import { exitCodeOf, InterruptedError } from "./failures.ts";
import { DURATION, flagValue } from "./flag-values.ts";
import { DEFAULT_SERVER, SERVER_FLAGS } from "./shared-flags.ts";

const TIMEOUT_MS = 30_000;

/** How a call is made: with the time limit, and ended by the user's interrupt. */
export interface CallOptions {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** A server as the commands see it, or several that are called in turn. */
export interface ServerConnection {
  /** As the user wrote it; of several the one that is called now. */
  readonly name: string;
  /** All of them. */
  readonly names: readonly string[];
  readonly transport: Transport;
  readonly log: Client<typeof LogService>;
  readonly topics: Client<typeof TopicService>;
  readonly cluster: Client<typeof ClusterService>;
  readonly callOptions: CallOptions;
  /** What may be the matter when the connection ends without a word. */
  readonly lostHint: string;
  close(): void;
}

/** Reads the server's flags. Nothing is dialled before the first call. */
async function openServer(input: CommandInput, context: CommandContext): Promise<ServerConnection> {
  const text = flagOrEnv("server", input, context) ?? DEFAULT_SERVER;
  const ca = await readPem("tls-ca", input, context);
  const cert = await readPem("client-cert", input, context);
  const key = await readPem("client-key", input, context);
  if ((cert === undefined) !== (key === undefined)) {
    throw new UsageError("Cannot use --client-cert or --client-key alone: set both");
  }
  const tls = {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined || key === undefined ? {} : { certificate: { cert, key } }),
  };
  const names = text.split(",").map((name) => name.trim());
  const urls = names.map((name) => toUrl(name, ca !== undefined || cert !== undefined));
  const places = urls.map((url, at) => ({
    name: names[at] ?? url,
    connection: connect({ url, ...tls }),
  }));
  const failover = new Failover(places);
  // One server needs nobody who looks for another one.
  const [first, ...others] = places;
  const transport = others.length === 0 && first ? first.connection.transport : failover;
  const isTls = urls.some((url) => url.startsWith("https:"));
  const doubt = cert === undefined ? "" : "; it may not accept --client-cert";
  return {
    get name() {
      return failover.name;
    },
    names,
    lostHint: isTls ? doubt : "; if it is reached over TLS, write https:// or --tls-ca",
    transport,
    log: createClient(LogService, transport),
    topics: createClient(TopicService, transport),
    cluster: createClient(ClusterService, transport),
    callOptions: {
      timeoutMs: flagValue(input, "timeout", DURATION) ?? TIMEOUT_MS,
      signal: context.interrupted,
    },
    close: () => failover.close(),
  };
}

/**
 * Runs `work` with the server, and says which server it was when it could not be
 * reached: the cause alone says nothing of the address.
 */
export async function withServer<T>(
  input: CommandInput,
  context: CommandContext,
  work: (server: ServerConnection) => Promise<T>,
): Promise<T> {
  const server = await openServer(input, context);
  try {
    return await work(server);
  } catch (thrown) {
    if (context.interrupted.aborted) throw new InterruptedError();
    if (thrown instanceof ConnectError) throw namingServer(thrown, server);
    throw thrown;
  } finally {
    server.close();
  }
}

/** The error as it is when proglog said it; else one that names the server. */
function namingServer(
  error: ConnectError,
  { names, lostHint }: Pick<ServerConnection, "names" | "lostHint">,
): Error {
  const failure = failureOf(error);
  if (failure.reason !== undefined) return error;
  const what = failure.code === Code.DeadlineExceeded ? "no answer in time" : failure.message;
  const hint = failure.message === CONNECTION_LOST ? lostHint : "";
  return new CommandError(`Cannot call ${names.join(", ")}: ${what}${hint}`, {
    exitCode: exitCodeOf(failure),
    cause: error,
  });
}

function toUrl(name: string, isTls: boolean): string {
  const hasScheme = /^https?:\/\//.test(name);
  const text = hasScheme ? name : `${isTls ? "https" : "http"}://${name}`;
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new UsageError(`Cannot read --server: "${name}" is not an address, write HOST:PORT`);
  }
  const hasPort = /:\d+\/?$/.test(name);
  if (url.pathname !== "/" || url.search !== "" || (!hasScheme && !hasPort)) {
    throw new UsageError(`Cannot read --server: "${name}" is not an address, write HOST:PORT`);
  }
  return url.origin;
}

function flagOrEnv(name: string, input: CommandInput, context: CommandContext): string | undefined {
  const env = SERVER_FLAGS.find((flag) => flag.name === name)?.env;
  const value = input.value(name) ?? (env === undefined ? undefined : context.env[env]);
  return value === "" ? undefined : value;
}

async function readPem(
  name: string,
  input: CommandInput,
  context: CommandContext,
): Promise<string | undefined> {
  const path = flagOrEnv(name, input, context);
  if (path === undefined) return undefined;
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new CommandError(`Cannot read ${path} for --${name}: ${stateOf(cause)}`, { cause });
  }
}

/** Tells the user of a connection that is lost, and of the server that is called instead. */
export class LossReport {
  readonly #server: Pick<ServerConnection, "name">;
  readonly #context: CommandContext;
  #name: string;

  constructor(server: Pick<ServerConnection, "name">, context: CommandContext) {
    this.#server = server;
    this.#context = context;
    this.#name = server.name;
  }

  lost(failure: Failure): void {
    this.#context.say(`Lost ${this.#name}: ${failure.message}; trying again`);
  }

  /** @param where it goes on, as the end of a sentence */
  resumed(where = ""): void {
    const { name } = this.#server;
    this.#context.say(`Connected to ${name}${name === this.#name ? " again" : ""}${where}`);
    this.#name = name;
  }
}
