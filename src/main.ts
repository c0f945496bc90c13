import { writeSync } from "node:fs";
import { EXIT } from "./cli/exit-codes.ts";
import { main } from "./cli/main.ts";

// A promise that nobody settles would end the process with 0, as if all were well.
process.on("beforeExit", () => {
  writeSync(2, "proglog: A defect in proglog: it waits for nothing\n");
  process.exit(EXIT.bug);
});

// No top-level await: the executable's bytecode format does not allow it.
void main(process.argv.slice(2), process.env).then((exitCode) => process.exit(exitCode));
