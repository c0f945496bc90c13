import { Code, ConnectError } from "@connectrpc/connect";
import {
  type Check,
  expect,
  expectEqual,
  makeTopic,
  pause,
  readAll,
  text,
  textOf,
} from "./check.ts";
import { Tail } from "./tail.ts";

const RETRY_MS_MAX = 20_000;
const RETRY_PAUSE_MS = 100;
const RECORDS = 10;

/** The server is killed and comes back: the same client goes on, and all that was acknowledged is there. */
const reconnect: Check = async (subject) => {
  const topic = await makeTopic(subject);
  const wanted: string[] = [];
  const produce = (value: string) =>
    subject.log.produce({ topic, records: [{ value: text(value) }] });
  for (let number = 0; number < RECORDS; number += 1) {
    await produce(`before ${number}`);
    wanted.push(`before ${number}`);
  }
  const reader = new Tail(subject, topic);
  await reader.seen(RECORDS);
  await subject.restart();
  const error = await reader.end;
  expect(error !== undefined, "the tail ended as if all were well");
  for (let number = 0; number < RECORDS; number += 1) {
    // The server takes calls again, so the first that gets through is the first that is appended.
    await (number === 0 ? retry(() => produce("after 0")) : produce(`after ${number}`));
    wanted.push(`after ${number}`);
  }
  expectEqual((await readAll(subject, topic)).map(textOf), wanted, "the topic after the restart");
  const second = new Tail(subject, topic, reader.resumeOffset);
  await second.seen(RECORDS);
  expectEqual(second.records.map(textOf), wanted.slice(RECORDS), "what the second tail saw");
  await second.cancel();
};

/** Tries again while there is no server. A browser does not say why a request failed: UNKNOWN. */
async function retry<T>(call: () => Promise<T>): Promise<T> {
  const lastMs = performance.now() + RETRY_MS_MAX;
  for (;;) {
    try {
      return await call();
    } catch (thrown) {
      const { code } = ConnectError.from(thrown);
      const isGone = code === Code.Unavailable || code === Code.Unknown;
      if (!isGone || performance.now() > lastMs) throw thrown;
    }
    await pause(RETRY_PAUSE_MS);
  }
}

export const RECONNECT_CHECKS: Readonly<Record<string, Check>> = { reconnect };
