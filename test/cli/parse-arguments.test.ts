import assert from "node:assert/strict";
import { test } from "node:test";
import type { Command } from "../../src/cli/command.ts";
import { COMMANDS } from "../../src/cli/commands.ts";
import { UsageError } from "../../src/cli/errors.ts";
import { helpText } from "../../src/cli/help.ts";
import { parseCommandLine, type Request } from "../../src/cli/parse-arguments.ts";
import { GLOBAL_FLAGS } from "../../src/cli/shared-flags.ts";

function refusal(line: string): string {
  try {
    parse(line);
  } catch (thrown) {
    assert.ok(thrown instanceof UsageError, String(thrown));
    return thrown.message;
  }
  assert.fail(`"${line}" was accepted`);
}

function parse(line: string): Request {
  return parseCommandLine(line === "" ? [] : line.split(" "), COMMANDS);
}

function run(line: string) {
  const request = parse(line);
  assert.equal(request.kind, "run");
  return request as Extract<Request, { kind: "run" }>;
}

test("a wrong word gets a suggestion", () => {
  assert.equal(refusal("consum x"), 'Unknown command "consum". Did you mean "consume"?');
  assert.equal(refusal("topic creat x"), 'Unknown command "topic creat". Did you mean "create"?');
  assert.equal(
    refusal("topic zzzzzz"),
    'Unknown command "topic zzzzzz": create, list, get, describe, update, delete, trim',
  );
  assert.match(refusal("topic"), /^"proglog topic" needs a verb: create, /);
  assert.equal(refusal("consume x --formt json"), 'Unknown flag --formt. Did you mean "--format"?');
  assert.equal(refusal("help topik"), 'Unknown command "topik". Did you mean "topic"?');
  const all = /^Unknown command "xyzzyxyzzy": serve, produce, consume, topic, cluster, log, /;
  assert.match(refusal("xyzzyxyzzy"), all);
  assert.match(refusal("help xyzzyxyzzy"), all);
});

test("a flag of another command is refused by the one that has no use for it", () => {
  assert.equal(refusal("topic list --follow"), '"proglog topic list" has no flag --follow');
});

test("values that are missing, too many or none of the choices are refused", () => {
  assert.equal(refusal("consume"), '"proglog consume" needs TOPIC');
  assert.equal(refusal("consume a b"), 'Unexpected word "b" after "proglog consume"');
  assert.match(refusal("consume a --server"), /^--server needs a value: HOST:PORT,\.\.\.$/);
  assert.match(
    refusal("consume a --server --follow"),
    /^--server needs a value, and --follow is a/,
  );
  assert.equal(refusal("consume a --follow=yes"), "--follow takes no value");
  assert.equal(
    refusal("topic list -o yaml"),
    'Cannot read -o: "yaml" is not known, write table or json',
  );
});

test("flags stand anywhere, with =, or short and glued", () => {
  for (const line of [
    "--server h:1 consume orders -n 5 --offset -10",
    "consume --server=h:1 orders --offset=-10 -n5",
    "consume -n 9 -n 5 orders --offset -10 --server h:1",
  ]) {
    const { command, input } = run(line);
    assert.deepEqual(command.words, ["consume"]);
    assert.equal(input.argument("TOPIC"), "orders");
    assert.equal(input.value("server"), "h:1");
    assert.equal(input.value("offset"), "-10");
    assert.equal(input.value("count"), "5");
  }
});

test("a repeatable flag keeps every value, and an alias finds its command", () => {
  const { input } = run("produce t -H a=1 --header b=2");
  assert.deepEqual(input.values("header"), ["a=1", "b=2"]);
  assert.deepEqual(run("topic ls").command.words, ["topic", "list"]);
});

test("help and version are understood wherever they stand", () => {
  assert.deepEqual(parse(""), { kind: "help", words: [] });
  assert.deepEqual(parse("help topic create"), { kind: "help", words: ["topic", "create"] });
  assert.deepEqual(parse("topic create --help"), { kind: "help", words: ["topic", "create"] });
  assert.deepEqual(parse("-h consume a"), { kind: "help", words: ["consume"] });
  assert.deepEqual(parse("topic -h"), { kind: "help", words: ["topic"] });
  assert.deepEqual(parse("--version"), { kind: "version" });
});

test("one name means one kind of flag in all commands, or it could not stand anywhere", () => {
  const seen = new Map<string, { short: string | undefined; takesValue: boolean }>();
  for (const flag of [...COMMANDS.flatMap((command) => command.flags), ...GLOBAL_FLAGS]) {
    const kind = { short: flag.short, takesValue: flag.placeholder !== undefined };
    assert.deepEqual(seen.get(flag.name) ?? kind, kind, `--${flag.name}`);
    seen.set(flag.name, kind);
  }
  const shorts = [...seen].flatMap(([name, { short }]) =>
    short === undefined ? [] : [[short, name]],
  );
  assert.equal(
    new Map(shorts as [string, string][]).size,
    shorts.length,
    "a short flag is used twice",
  );
});

test("help leads with examples that parse, and ends with where the documentation is", () => {
  for (const command of COMMANDS) {
    const text = helpText(command.words, COMMANDS);
    const lines = text.trimEnd().split("\n");
    assert.equal(lines[2], "Examples:");
    assert.match(lines.at(-1) ?? "", /^Documentation: /);
    assert.ok(Math.max(...lines.map((line) => line.length)) <= 100, command.words.join(" "));
    assert.ok(command.examples.length >= 2);
    for (const { line } of command.examples) checkExample(command, line);
  }
  assert.match(helpText([], COMMANDS), /^proglog: /);
  assert.match(helpText(["topic"], COMMANDS), /topic trim/);
});

/** The part of an example that is ours: between pipes, without redirections. */
function checkExample(command: Command, line: string): void {
  const parts = line.split(/[|]|<\(|\)|>/).map((part) => part.trim());
  const ours = parts.filter((part) => part.startsWith("proglog "));
  assert.ok(ours.length > 0, line);
  const found = ours.map((part) => {
    const words = (part.match(/'[^']*'|\S+/g) ?? []).map((word) => word.replaceAll("'", ""));
    return parseCommandLine(words.slice(1), COMMANDS);
  });
  assert.ok(
    found.some((request) => request.kind === "run" && request.command === command),
    line,
  );
}
