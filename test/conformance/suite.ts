/** The official suite of the Connect project, of one version: https://github.com/connectrpc/conformance. */
export const SUITE_MODULE = "connectrpc.com/conformance";
export const SUITE_VERSION = "v1.0.7";

/** Where its runner and what is made of its protos lie; made by `scripts/conformance.ts`. */
export const SUITE_DIR = `dist/conformance/${SUITE_VERSION}`;
export const PROTOS_FILE = `${SUITE_DIR}/protos.binpb`;
