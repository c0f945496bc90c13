const KNOWN_KEYS = new Set(["time", "level", "message", "error"]);

/**
 * Makes a line for people of one of the logger's JSON lines:
 *
 *     2026-11-25T12:00:01.250Z WARN  Disk is full  topic=orders bytes=4096
 *
 * An error's stack follows on lines of its own. No colour: logs are kept.
 */
export function formatLogLine(line: string): string {
  let entry: Record<string, unknown>;
  try {
    entry = JSON.parse(line) as Record<string, unknown>;
  } catch {
    return line;
  }
  const time = String(entry["time"]);
  const level = String(entry["level"]).toUpperCase().padEnd(5);
  let text = `${time} ${level} ${entry["message"]}`;
  const fields = Object.entries(entry).filter(([key]) => !KNOWN_KEYS.has(key));
  if (fields.length > 0) text += `  ${fields.map(formatField).join(" ")}`;
  const error = entry["error"];
  if (error !== undefined) text += `\n${formatError(error)}`;
  return `${text}\n`;
}

function formatField([key, value]: [string, unknown]): string {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return `${key}=${/^[^\s"=]+$/.test(text) ? text : JSON.stringify(text)}`;
}

function formatError(error: unknown): string {
  const { stack, message } = error as { readonly stack?: unknown; readonly message?: unknown };
  const text = typeof stack === "string" ? stack : String(message ?? JSON.stringify(error));
  return text.replaceAll(/^/gm, "    ");
}
