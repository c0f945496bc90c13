import { platformCode } from "../base/errors.ts";

/** What a platform's code says about the thing that was named, and what to do about it. */
const STATES: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file or folder",
  EACCES: "this user may not, check the permissions",
  EPERM: "this user may not, check the permissions",
  EROFS: "the file system is read-only",
  EEXIST: "there is a file of that name, wanted a folder or nothing",
  ENOTDIR: "a part of its path is a file, wanted folders",
  EISDIR: "it is a folder, wanted a file",
  ENOSPC: "the disk is full",
  EDQUOT: "the quota is used up",
  EFBIG: "the file would be larger than allowed",
  EIO: "the disk reports an error",
  EMFILE: "too many files are open, raise the limit (ulimit -n)",
  ENFILE: "too many files are open on this machine",
  ENAMETOOLONG: "its name is too long",
  ELOOP: "its path has too many symbolic links",
};

/** Codes of errors that are about who may do what, not about the disk. */
const PERMISSION_CODES: readonly (string | undefined)[] = ["EACCES", "EPERM", "EROFS"];

const DOINGS: Readonly<Record<string, string>> = {
  mkdir: "make the folder",
  scandir: "list the folder",
  opendir: "list the folder",
  open: "open",
  read: "read",
  write: "write",
  stat: "look at",
  access: "read",
};

/** A clause for the code of a platform error; the code itself when it is a rare one. */
export function stateOf(thrown: unknown): string {
  const code = platformCode(thrown);
  return STATES[code ?? ""] ?? code ?? "unknown error";
}

/** True when the user that runs this may not do it. */
export function isPermissionError(thrown: unknown): boolean {
  return PERMISSION_CODES.includes(platformCode(thrown));
}

/** `Cannot make the folder /x: ...` for an error of a system call, which names itself and its path. */
export function describePlatformError(error: Error): string {
  const { syscall, path } = error as { readonly syscall?: unknown; readonly path?: unknown };
  const name = typeof syscall === "string" ? syscall : "use";
  const place = typeof path === "string" ? ` ${path}` : "";
  return `Cannot ${DOINGS[name] ?? name}${place}: ${stateOf(error)}`;
}
