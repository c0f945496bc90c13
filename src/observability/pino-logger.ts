import { type Logger as Pino, pino } from "pino";
import type { LogFields, Logger } from "../base/log.ts";
import { formatLogLine } from "./log-text.ts";

export type LogLevel = "debug" | "info" | "warn" | "error";

export interface LoggerOptions {
  readonly level: LogLevel;
  /** JSON lines, or lines for people. */
  readonly format: "text" | "json";
  /** File descriptor; standard error by default. Data never shares it. */
  readonly descriptor?: number;
}

/** A logger whose level can change while it runs. */
export interface AdjustableLogger extends Logger {
  setLevel(level: LogLevel): void;
}

/**
 * Logs through pino, to standard error and nowhere else. Writes are synchronous,
 * so that the last words of a process that ends are not lost; the server logs
 * events, never calls or records, so this costs nothing that matters.
 */
export function makeLogger(options: LoggerOptions): AdjustableLogger {
  const target = pino.destination({ dest: options.descriptor ?? 2, sync: true });
  const stream =
    options.format === "json"
      ? target
      : { write: (line: string) => target.write(formatLogLine(line)) };
  const logger = pino(
    {
      level: options.level,
      base: {},
      messageKey: "message",
      errorKey: "error",
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (level) => ({ level }) },
    },
    stream,
  );
  return adapt(logger);
}

function adapt(pinoLogger: Pino): AdjustableLogger {
  return {
    debug: (message, fields) => pinoLogger.debug(fields ?? {}, message),
    info: (message, fields) => pinoLogger.info(fields ?? {}, message),
    warn: (message, fields, cause) => pinoLogger.warn(withCause(fields, cause), message),
    error: (message, fields, cause) => pinoLogger.error(withCause(fields, cause), message),
    setLevel(level) {
      pinoLogger.level = level;
    },
  };
}

function withCause(fields: LogFields | undefined, cause: unknown): Record<string, unknown> {
  return cause === undefined ? { ...fields } : { ...fields, error: cause };
}
