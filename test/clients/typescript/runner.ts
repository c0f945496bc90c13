/** How a program talks with the runner that started it; see ../support/client-program.ts. */
import { once } from "node:events";
import { createInterface } from "node:readline";

const input = createInterface({ input: process.stdin });

export function tell(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Has the server killed and started again. */
export async function restart(): Promise<void> {
  const answered = once(input, "line");
  tell("restart?");
  const [line] = await answered;
  if (line !== "restarted") throw new Error(`Asked for a restart, was told "${line}"`);
}
