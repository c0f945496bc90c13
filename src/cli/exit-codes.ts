/** What the process's exit code says. A contract with scripts. */
export const EXIT = {
  fine: 0,
  failed: 1,
  usage: 2,
  notFound: 3,
  refused: 4,
  unavailable: 5,
  notAllowed: 6,
  bug: 70,
  interrupted: 130,
} as const;

/** The meanings, for help and docs/cli.md. */
export const EXIT_MEANINGS: readonly (readonly [number, string])[] = [
  [EXIT.fine, "Done."],
  [
    EXIT.failed,
    "Failed; the message says why. Of `log verify`: damage was found. Also a limit: a record that is too large, as many topics as there may be.",
  ],
  [EXIT.usage, "Wrong usage: a word, flag, value or setting that cannot be meant."],
  [EXIT.notFound, "There is no such topic, offset or server."],
  [EXIT.refused, "A condition did not hold: fenced, exists already, not as expected."],
  [EXIT.unavailable, "The server could not be reached, is stopping or full, or took too long."],
  [
    EXIT.notAllowed,
    "No credentials, or not allowed; one side does not trust the other's certificate.",
  ],
  [EXIT.bug, "A defect in proglog."],
  [EXIT.interrupted, "Interrupted by a signal."],
];
