import { hasReason } from "../base/errors.ts";
import type { AdjustableLogger } from "../observability/pino-logger.ts";
import { makeLogger } from "../observability/pino-logger.ts";
import { isLoopback, type LoadedSettings } from "./load-settings.ts";
import { type RunningServer, type ServerOptions, startServer } from "./server.ts";
import { printHostPort } from "./setting-types.ts";

export interface RunOptions {
  readonly loaded: LoadedSettings;
  /** Reads the settings again, for SIGHUP. */
  readonly load: () => Promise<LoadedSettings>;
  /** Aborted when the server is to stop cleanly. */
  readonly stopping: AbortSignal;
  /** Whether standard error is one. */
  readonly isTerminal: boolean;
  /** Called once, when calls are taken. */
  readonly announce: (address: string) => void;
}

/** Why a server ended that was not told to. */
export interface ServerFailure {
  readonly error: unknown;
}

/**
 * Runs a server until it is told to stop, or fails.
 *
 * @returns undefined after a clean stop; a failure is logged already
 * @throws what {@link startServer} throws, when it could not start
 */
export async function runServer(options: RunOptions): Promise<ServerFailure | undefined> {
  const { settings, warnings } = options.loaded;
  const isText = settings["log-format"] === "auto" && options.isTerminal;
  const format = isText || settings["log-format"] === "text" ? "text" : "json";
  const logger = makeLogger({ level: settings["log-level"], format });
  for (const warning of warnings) logger.warn(warning);
  const failed = Promise.withResolvers<ServerFailure>();
  const onFailure = (error: unknown) => failed.resolve({ error });
  const forget = watchDefects(onFailure);
  try {
    const server = await startUnlessStopped({
      settings,
      logger,
      onFailure,
      stopping: options.stopping,
    });
    if (server === undefined) return undefined;
    warnOfReach(options.loaded, logger);
    options.announce(server.address);
    const stopReloading = reloadOnHangUp(server, options, logger);
    try {
      const failure = await Promise.race([failed.promise, aborted(options.stopping)]);
      if (failure === undefined) return await stop(server, failed.promise, logger);
      logger.error("The server ends: it cannot go on", {}, failure.error);
      await server.abandon();
      return failure;
    } finally {
      stopReloading();
    }
  } finally {
    forget();
  }
}

/** @returns undefined when it was told to stop before it was open: it may have waited for other servers */
async function startUnlessStopped(options: ServerOptions): Promise<RunningServer | undefined> {
  try {
    return await startServer(options);
  } catch (error) {
    if (!options.stopping.aborted || !hasReason(error, "DRAINING")) throw error;
    options.logger.info("The server has stopped before it was open");
    return undefined;
  }
}

/** A failure on the way down counts: then the stop was not clean. */
async function stop(
  server: RunningServer,
  failed: Promise<ServerFailure>,
  logger: AdjustableLogger,
): Promise<ServerFailure | undefined> {
  logger.info("The server is stopping");
  let failure: ServerFailure | undefined;
  try {
    failure = await Promise.race([failed, server.stop().then(() => undefined)]);
  } catch (error) {
    failure = { error };
  }
  if (failure === undefined) logger.info("The server has stopped");
  else logger.error("The server could not stop cleanly", {}, failure.error);
  return failure;
}

function reloadOnHangUp(
  server: RunningServer,
  options: RunOptions,
  logger: AdjustableLogger,
): () => void {
  const reload = async () => {
    try {
      const { settings } = await options.load();
      logger.setLevel(settings["log-level"]);
      await server.reloadTls();
      logger.info("Read the TLS files and the log level again", {
        logLevel: settings["log-level"],
      });
    } catch (error) {
      logger.error("Cannot read the configuration again: the one before stays", {}, error);
    }
  };
  const onHangUp = () => void reload();
  process.on("SIGHUP", onHangUp);
  return () => process.off("SIGHUP", onHangUp);
}

/** Whatever nobody caught is a defect: after it, wrong data would be worse than no service. */
function watchDefects(onFailure: (error: unknown) => void): () => void {
  process.on("uncaughtException", onFailure);
  process.on("unhandledRejection", onFailure);
  return () => {
    process.off("uncaughtException", onFailure);
    process.off("unhandledRejection", onFailure);
  };
}

function warnOfReach({ settings }: LoadedSettings, logger: AdjustableLogger): void {
  const { listen } = settings;
  if (isLoopback(listen.host) || settings["tls-client-ca"] !== "") return;
  const address = printHostPort(listen);
  logger.warn("Other machines can reach the server, and not all are authenticated", { address });
}

function aborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(undefined);
    signal.addEventListener("abort", () => resolve(undefined), { once: true });
  });
}
