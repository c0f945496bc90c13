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

/**
 * Most bytes of descriptors that a group may put into one append message. So many that even those of
 * five bytes stay below {@link CORE_MESSAGE_ENTRIES_MAX}.
 */
export const CORE_APPEND_BYTES_MAX = 512 * 2 ** 10;

/** Most bytes of one entry, or of the context of a change of membership. */
export const CORE_ENTRY_BYTES_MAX = 64 * 2 ** 10;

/** Most bytes of a group's small state in a snapshot. */
export const CORE_STATE_BYTES_MAX = 2 * 2 ** 20;
