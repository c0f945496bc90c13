import type { CommandContext } from "./context.ts";
import type { FolderFinding } from "./verify-folder.ts";

/** One line: `topics/1/0….log at byte 29, offset 2: a frame's checksum does not fit`. */
export function describeFinding(finding: FolderFinding): string {
  const { file, position, offset, what } = finding;
  const place = [
    position === undefined ? "" : ` at byte ${position}`,
    offset === undefined ? "" : `, offset ${offset}`,
  ];
  return `${file}${place.join("")}: ${what}`;
}

/** The finding as `-o json` prints it. */
export function findingToJson(finding: FolderFinding): Record<string, unknown> {
  const { severity, topicId, file, position, offset, what } = finding;
  return { severity, topicId, file, position, offset, what };
}

/** Says that what follows may be out of date before it is read. */
export function warnOfHolder(context: CommandContext, pid: number | undefined): void {
  if (pid === undefined) return;
  context.say(`Warning: process ${pid} uses the folder; what it writes meanwhile may look torn`);
}
