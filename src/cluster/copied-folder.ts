import { ProglogError } from "../base/errors.ts";

/** @returns what a server ends with when another process goes on being the same one */
export function copiedFolderError(nodeId: string): ProglogError {
  return new ProglogError(
    "SERVER_ID_IN_USE",
    `Cannot serve: another process is connected as server ${nodeId}, so one of the two runs on a copy of its data ` +
      "folder, and the votes and acknowledgements of both would count as one server's. Stop the other one, or " +
      "start this one with an empty data folder and --join",
    { metadata: { serverId: nodeId } },
  );
}
