import { main } from "./cli/main.ts";

// No top-level await: the executable's bytecode format does not allow it.
void main(process.argv.slice(2), process.env).then((exitCode) => process.exit(exitCode));
