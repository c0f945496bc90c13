import type { FlagSpec } from "./command.ts";

/** Taken by every command. */
export const GLOBAL_FLAGS: readonly FlagSpec[] = [
  { name: "help", short: "h", help: "Show this help." },
  { name: "version", help: "Show the version." },
];

export const DEFAULT_SERVER = "127.0.0.1:8400";

/** How to reach a server. */
export const SERVER_FLAGS: readonly FlagSpec[] = [
  {
    name: "server",
    placeholder: "HOST:PORT,...",
    help: "Server to call, or several, to go on with the next when one is gone. With `https://` before it, or with --tls-ca, over TLS.",
    env: "PROGLOG_SERVER",
    fallback: DEFAULT_SERVER,
  },
  {
    name: "tls-ca",
    placeholder: "FILE",
    help: "CA of the server's certificate, PEM.",
    env: "PROGLOG_TLS_CA",
  },
  {
    name: "client-cert",
    placeholder: "FILE",
    help: "Certificate to show to the server, PEM.",
    env: "PROGLOG_CLIENT_CERT",
  },
  {
    name: "client-key",
    placeholder: "FILE",
    help: "Key of --client-cert, PEM.",
    env: "PROGLOG_CLIENT_KEY",
  },
  {
    name: "timeout",
    placeholder: "DURATION",
    help: "Longest wait for an answer. Streams may last longer.",
    fallback: "30s",
  },
];

/** How results are printed. */
export const OUTPUT_FLAG: FlagSpec = {
  name: "output",
  short: "o",
  placeholder: "table|json",
  choices: ["table", "json"],
  help: "Form of the result: a table, or JSON, one object a line.",
  fallback: "table",
};

export const YES_FLAG: FlagSpec = {
  name: "yes",
  help: "Do it without asking.",
};
