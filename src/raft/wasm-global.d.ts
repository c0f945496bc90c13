/**
 * What is used of the standard WebAssembly object: its types come with the browser's, which are
 * not loaded here.
 */
declare namespace WebAssembly {
  class Module {
    constructor(bytes: Uint8Array);
    static imports(module: Module): readonly { readonly module: string; readonly name: string }[];
  }
  class Instance {
    constructor(module: Module, imports: Readonly<Record<string, object>>);
    readonly exports: object;
  }
  interface Memory {
    readonly buffer: ArrayBuffer;
  }
  function compile(bytes: Uint8Array): Promise<Module>;
}

/** Bun gives the place of such a file when it is imported as one, also within an executable. */
declare module "*.wasm" {
  const path: string;
  export default path;
}
