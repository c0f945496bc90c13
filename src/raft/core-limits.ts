/*
 * Limits on what reaches the core from outside. Those of `wasm/reader.go` and `wasm/check.go` are
 * the same.
 */

/**
 * Most bytes of a message between cores: descriptors, a group's small state, never payloads. The
 * module's memory grows to it and never shrinks.
 */
export const CORE_MESSAGE_BYTES_MAX = 4 * 2 ** 20;

/** Most entries in one message. */
export const CORE_MESSAGE_ENTRIES_MAX = 2 ** 16;

/** Most bytes of a read request's context. */
export const CORE_READ_CONTEXT_BYTES_MAX = 1024;

/** Most replicas in one list of a group's membership. */
export const CORE_MEMBERS_MAX = 64;
