import { constants, createReadStream, fstatSync } from "node:fs";
import { access, stat } from "node:fs/promises";
import type { Readable } from "node:stream";
import { platformCode } from "../base/errors.ts";
import { stateOf } from "../server/platform-errors.ts";
import type { CommandContext } from "./context.ts";
import { CommandError } from "./errors.ts";

/** Bytes read at once from a file. A pipe gives at most what it holds, 64 KiB. */
const CHUNK_BYTES = 1024 * 1024;

/** A stream of bytes that can be given up at any time. */
export interface InputBytes {
  /** For messages: the file's name, or `standard input`. */
  readonly name: string;
  readonly chunks: AsyncIterable<Buffer>;
  /** Ends `chunks` as if the input had ended. */
  close(): void;
}

/** Sees whether {@link openInput} could read, before anything else is done. @throws {CommandError} */
export async function checkInput(path: string | undefined): Promise<void> {
  if (path === undefined || path === "-") return;
  try {
    await access(path, constants.R_OK);
    if (!(await stat(path)).isDirectory()) return;
  } catch (cause) {
    throw new CommandError(`Cannot read ${path}: ${stateOf(cause)}`, { cause });
  }
  throw new CommandError(`Cannot read ${path}: it is a folder, wanted a file`);
}

/** Opens `path`, or standard input when it is absent or `-`. An interrupt ends it. */
export function openInput(path: string | undefined, context: CommandContext): InputBytes {
  const isStdin = path === undefined || path === "-";
  const name = isStdin ? "standard input" : path;
  const stream = isStdin ? openStdin() : createReadStream(path, { highWaterMark: CHUNK_BYTES });
  let isClosed = false;
  const close = () => {
    isClosed = true;
    stream.destroy();
  };
  context.interrupted.addEventListener("abort", close, { once: true });
  if (context.interrupted.aborted) close();
  return { name, chunks: read(stream, { name, isClosed: () => isClosed }), close };
}

/** A redirected file is read in large pieces; a pipe or terminal as the runtime does it. */
function openStdin(): Readable {
  try {
    if (fstatSync(0).isFile()) {
      return createReadStream("", { fd: 0, autoClose: false, highWaterMark: CHUNK_BYTES });
    }
  } catch {
    // Closed or of an unknown kind: the runtime's own stream says so.
  }
  return process.stdin;
}

async function* read(
  stream: Readable,
  state: { name: string; isClosed: () => boolean },
): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of stream) {
      yield chunk as Buffer;
      if (state.isClosed()) return;
    }
  } catch (cause) {
    // A stream that was destroyed ends with an error: that is how it was meant.
    if (state.isClosed()) return;
    const why = platformCode(cause) === undefined ? String(cause) : stateOf(cause);
    throw new CommandError(`Cannot read ${state.name}: ${why}`, { cause });
  }
}
