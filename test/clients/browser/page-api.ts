import type { TransportName } from "./ways.ts";

/** What a page needs to know to call a server. */
export interface Target {
  readonly baseUrl: string;
  readonly transport: TransportName;
  /** Begins the names of all topics. */
  readonly prefix: string;
  readonly isHttp2: boolean;
  /** Names of checks to leave out. */
  readonly without: readonly string[];
}

/** The functions that page.ts puts on `globalThis`, for the program to call. */
export interface PageApi {
  /** Runs all checks, and tells of each. @returns true when all passed */
  runChecks(target: Target): Promise<boolean>;
  /**
   * Tries to write to the topic `default` and to read it, by every way a script has.
   *
   * @returns what got through: nothing, for a page that is not allowed to call
   */
  intrude(baseUrl: string): Promise<readonly string[]>;
}

/** What the program gives to the page. */
export interface ProgramApi {
  tell(line: string): Promise<void>;
  restart(): Promise<void>;
}

/** The global object of both sides, as the other one sees it. */
export type PageGlobal = PageApi & ProgramApi;
