import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { InvariantError } from "../../src/base/assert.ts";
import { ProglogError } from "../../src/base/errors.ts";
import { REASONS, type Reason } from "../../src/base/reasons.ts";
import { CommandError, UsageError } from "../../src/cli/errors.ts";
import { EXIT_MEANINGS } from "../../src/cli/exit-codes.ts";
import { endingOf, InterruptedError } from "../../src/cli/failures.ts";
import { OutputClosedError } from "../../src/cli/output.ts";
import { failureOf } from "../../src/client/failure.ts";
import { ErrorInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts";

function fromServer(reason: string, domain = "proglog"): ConnectError {
  const info = { reason, domain, metadata: { key: "value" } };
  const code = Code.FailedPrecondition;
  return new ConnectError("said", code, undefined, [{ desc: ErrorInfoSchema, value: info }]);
}

test("every reason has an exit code that is documented, from the server and offline alike", () => {
  const known = EXIT_MEANINGS.map(([code]) => code);
  for (const reason of Object.keys(REASONS) as Reason[]) {
    const remote = endingOf(fromServer(reason));
    const local = endingOf(new ProglogError(reason, "said"));
    assert.equal(remote.exitCode, local.exitCode, reason);
    assert.ok(known.includes(remote.exitCode), reason);
    assert.notEqual(remote.exitCode, 0, reason);
    assert.equal(remote.lines[0], "said");
    assert.equal(remote.lines.length, 2, "the message, and what to do");
  }
});

test("exit codes tell what a script may do about it", () => {
  const code = (reason: Reason) => endingOf(fromServer(reason)).exitCode;
  assert.equal(code("TOPIC_NOT_FOUND"), 3);
  assert.equal(code("OFFSET_OUT_OF_RANGE"), 3);
  assert.equal(code("TOPIC_EXISTS"), 4);
  assert.equal(code("FENCED"), 4);
  assert.equal(code("TOPIC_NAME_INVALID"), 2);
  assert.equal(code("RECORD_TOO_LARGE"), 1);
  assert.equal(code("DISK_FULL"), 5);
  assert.equal(code("DRAINING"), 5);
  assert.equal(code("TOPIC_LIMIT"), 1);
  assert.equal(code("STORE_CORRUPT"), 1);
  assert.equal(code("DATA_DIR_LOCKED"), 1);
  const bare = (connectCode: Code) => endingOf(new ConnectError("x", connectCode)).exitCode;
  assert.equal(bare(Code.Unavailable), 5);
  assert.equal(bare(Code.DeadlineExceeded), 5);
  assert.equal(bare(Code.Unauthenticated), 6);
  assert.equal(bare(Code.PermissionDenied), 6);
  assert.equal(bare(Code.Unimplemented), 1);
});

test("usage, interrupts, closed pipes and defects have their own ends", () => {
  assert.equal(endingOf(new UsageError("x")).exitCode, 2);
  assert.equal(endingOf(new CommandError("x", { exitCode: 3 })).exitCode, 3);
  assert.deepEqual(endingOf(new InterruptedError()), { exitCode: 130, lines: [] });
  assert.deepEqual(endingOf(new OutputClosedError()), { exitCode: 0, lines: [] });
  assert.equal(endingOf(new InvariantError("x")).exitCode, 70);
  assert.equal(endingOf(new TypeError("x")).exitCode, 70);
  assert.equal(endingOf("x").exitCode, 70);
  const platform = Object.assign(new Error("ENOSPC: no space"), {
    code: "ENOSPC",
    syscall: "write",
  });
  const full = { exitCode: 1, lines: ["Cannot write: the disk is full"] };
  assert.deepEqual(endingOf(platform), full);
  const file = { code: "EEXIST", syscall: "mkdir", path: "/x" };
  assert.match(
    endingOf(Object.assign(new Error(), file)).lines[0] ?? "",
    /^Cannot make the folder \/x: there is a file of that name/,
  );
  const cause = Object.assign(new Error("EACCES"), { code: "EACCES" });
  const message = 'Cannot write "LOCK": the disk reports EACCES';
  const { lines } = endingOf(new ProglogError("DISK_FAILED", message, { cause }));
  assert.match(lines.join(" "), /check the permissions .*chown/);
  assert.doesNotMatch(lines.join(" "), /Check the disk|EACCES/);
  const usage = endingOf(new UsageError("x"), ["topic", "get"]);
  assert.deepEqual(usage.lines, ["x", "Try: proglog topic get --help"]);
});

test("only errors of proglog's own domain are read as its reasons", () => {
  const foreign = failureOf(fromServer("TOPIC_NOT_FOUND", "example.com"));
  assert.equal(foreign.reason, undefined);
  const newer = failureOf(fromServer("A_REASON_OF_TOMORROW"));
  assert.equal(newer.reason, undefined);
  assert.equal(newer.isRetryable, false, "what it does not know it does not repeat");
});
