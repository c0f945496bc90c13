import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";

/** Takes a block's input (its lines, each ended by a line feed) and gives the output, without a last one. */
export type GoldenCommands = Readonly<Record<string, (input: string) => string | Promise<string>>>;

/**
 * Runs a golden file: blocks of a command's name, input lines, `----`, output
 * lines, and an empty line. Between blocks, lines that begin with `#` are
 * comments. Output may not hold an empty line: it would end the block.
 *
 * `UPDATE_GOLDEN=1` rewrites the outputs in place; read the diff before you commit it.
 *
 * @param fileUrl of the golden file, usually `new URL("testdata/x.txt", import.meta.url)`
 */
export async function runGolden(fileUrl: URL, commands: GoldenCommands): Promise<void> {
  const wanted = await readFile(fileUrl, "utf8");
  const got = await replay(wanted, commands, fileUrl.pathname);
  if (process.env["UPDATE_GOLDEN"] === "1") await writeFile(fileUrl, got);
  else assert.equal(got, wanted);
}

async function replay(text: string, commands: GoldenCommands, place: string): Promise<string> {
  const lines = text.replace(/\n$/, "").split("\n");
  const result: string[] = [];
  let blocks = 0;
  for (let at = 0; at < lines.length; at += 1) {
    const name = lines[at] ?? "";
    result.push(name);
    if (name === "" || name.startsWith("#")) continue;
    const command = commands[name];
    assert.ok(command !== undefined, `${place}:${at + 1}: no command "${name}"`);
    const separator = lines.indexOf("----", at);
    assert.ok(separator > at, `${place}:${at + 1}: a block without "----"`);
    const input = lines.slice(at + 1, separator);
    const output = await command(input.map((line) => `${line}\n`).join(""));
    assert.ok(!/^$/m.test(output), `${place}:${at + 1}: output holds an empty line`);
    result.push(...input, "----", output);
    blocks += 1;
    at = separator;
    while (lines[at + 1] !== undefined && lines[at + 1] !== "") at += 1;
  }
  assert.ok(blocks > 0, `${place}: has no block, so it checks nothing`);
  return `${result.join("\n")}\n`;
}
