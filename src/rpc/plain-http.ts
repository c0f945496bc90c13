import type { Logger } from "../base/log.ts";
import type { HttpRequest, HttpResponse } from "../platform/http-options.ts";
import type { ServingState } from "./serving-state.ts";

/** A path from outside is shown only so far. */
const SHOWN_CHARACTERS_MAX = 200;

const TEXT_TYPE = "text/plain; charset=utf-8";
const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

interface Page {
  readonly status: number;
  readonly text: string;
}

export interface PlainHttpOptions {
  readonly state: ServingState;
  readonly version: string;
  readonly logger: Logger;
  /** In the text format of Prometheus; absent: there are none. */
  readonly metrics?: (() => Promise<string>) | undefined;
}

/** What is served beside calls: probes, metrics, and help for who comes with a browser. */
export class PlainHttp {
  readonly #options: PlainHttpOptions;

  constructor(options: PlainHttpOptions) {
    this.#options = options;
  }

  handle(request: HttpRequest, response: HttpResponse, path: string): void {
    const { metrics, logger } = this.#options;
    const { method = "" } = request;
    if (path !== "/metrics" || metrics === undefined || !isRead(method)) {
      answer(response, this.#page(method, path));
      return;
    }
    metrics().then(
      (text) => answer(response, { status: 200, text }, METRICS_TYPE),
      (error: unknown) => {
        logger.error("The metrics cannot be read", {}, error);
        answer(response, { status: 500, text: "The metrics cannot be read; the log says why.\n" });
      },
    );
  }

  #page(method: string, path: string): Page {
    const { state, version } = this.#options;
    if (isRead(method)) {
      if (path === "/livez") return { status: 200, text: "ok\n" };
      if (path === "/readyz") return readiness(state);
      if (path === "/") return { status: 200, text: help(version) };
    }
    const shown = path.slice(0, SHOWN_CHARACTERS_MAX);
    return { status: 404, text: `No method or page "${shown}" here. GET / says what there is.\n` };
  }
}

function isRead(method: string): boolean {
  return method === "GET" || method === "HEAD";
}

function answer(response: HttpResponse, { status, text }: Page, type = TEXT_TYPE): void {
  response.writeHead(status, {
    "content-type": type,
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  });
  response.end(text);
}

function readiness(state: ServingState): Page {
  if (state.isServing) return { status: 200, text: "ready\n" };
  if (state.isDraining) return { status: 503, text: "draining\n" };
  return { status: 503, text: `waiting for: ${state.waitingFor.join(", ")}\n` };
}

function help(version: string): string {
  return `proglog ${version}, a commit log server.

This port speaks gRPC, gRPC-Web and Connect:

  curl -d '{"topic":"default"}' -H 'content-type: application/json' \\
    http://HOST:PORT/proglog.v1.TopicService/GetTopic
  grpcurl -plaintext HOST:PORT list

GET /livez answers while the process lives, GET /readyz when it takes calls. GET /metrics is
for Prometheus.
`;
}
