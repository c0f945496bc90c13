import type { HttpRequest, HttpResponse } from "../platform/http-options.ts";
import type { ServingState } from "./serving-state.ts";

/** A path from outside is shown only so far. */
const SHOWN_CHARACTERS_MAX = 200;

interface Page {
  readonly status: number;
  readonly text: string;
}

/** What is served beside calls: probes, and help for who comes with a browser. */
export class PlainHttp {
  readonly #state: ServingState;
  readonly #version: string;

  constructor(state: ServingState, version: string) {
    this.#state = state;
    this.#version = version;
  }

  handle(request: HttpRequest, response: HttpResponse, path: string): void {
    const { status, text } = this.#page(request.method ?? "", path);
    response.writeHead(status, {
      "content-type": "text/plain; charset=utf-8",
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
    });
    response.end(text);
  }

  #page(method: string, path: string): Page {
    if (method === "GET" || method === "HEAD") {
      if (path === "/livez") return { status: 200, text: "ok\n" };
      if (path === "/readyz") return readiness(this.#state);
      if (path === "/") return { status: 200, text: help(this.#version) };
    }
    const shown = path.slice(0, SHOWN_CHARACTERS_MAX);
    return { status: 404, text: `No method or page "${shown}" here. GET / says what there is.\n` };
  }
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

GET /livez answers while the process lives, GET /readyz when it takes calls.
`;
}
