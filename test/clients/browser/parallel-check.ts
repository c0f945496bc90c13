import { type Check, expectEqual, makeTopic, readAll, text } from "../typescript/check.ts";
import { Tail } from "../typescript/tail.ts";

/** A browser opens 6 connections to an HTTP/1.1 server: five tails leave one for calls. */
const TAILS_OVER_HTTP1 = 5;
const TAILS_OVER_HTTP2 = 30;
const RECORDS = 20;

/** Calls go on while many tails are open, and every tail sees every record. */
export function parallelTails(isHttp2: boolean): Check {
  return async (subject) => {
    const topic = await makeTopic(subject);
    const tailCount = isHttp2 ? TAILS_OVER_HTTP2 : TAILS_OVER_HTTP1;
    const tails = Array.from({ length: tailCount }, () => new Tail(subject, topic));
    await Promise.all(tails.map((tail) => tail.begun()));
    for (let number = 0; number < RECORDS; number += 1) {
      await subject.log.produce({ topic, records: [{ value: text(`${number}`) }] });
    }
    expectEqual((await readAll(subject, topic)).length, RECORDS, "the number of records");
    for (const tail of tails) {
      await tail.seen(RECORDS);
      const offsets = tail.records.map(({ offset }) => Number(offset));
      expectEqual(offsets, [...offsets.keys()], "the offsets that a tail saw");
      await tail.cancel();
    }
  };
}
