/** Where the two runtimes' servers differ, code asks for the runtime by name. */
export const IS_BUN = process.versions["bun"] !== undefined;
export const IS_DENO = "Deno" in globalThis;
