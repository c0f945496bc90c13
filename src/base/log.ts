/** Values beside a message. Keys are lower camel case, with the unit in the key. */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

/** Where a component says what it does. Messages are sentences without values; values are fields. */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields, cause?: unknown): void;
  error(message: string, fields?: LogFields, cause?: unknown): void;
}

/** Says nothing. For tests and for offline tools that report otherwise. */
export const SILENT_LOGGER: Logger = { debug() {}, info() {}, warn() {}, error() {} };
