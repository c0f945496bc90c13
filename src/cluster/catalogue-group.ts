import { MalformedBytesError } from "../base/bytes.ts";
import { ProglogError } from "../base/errors.ts";
import { topicDir } from "../storage/layout.ts";
import { Catalogue } from "../topics/catalogue.ts";
import type { ProposedCatalogueCommand } from "../topics/catalogue-commands.ts";
import { CATALOGUE_REPLICA_ID } from "../topics/catalogue-members.ts";
import type { CatalogueOutcome } from "../topics/catalogue-outcomes.ts";
import { CATALOGUE_TOPIC_ID, CatalogueState } from "../topics/catalogue-state.ts";
import { CLUSTER_TOPIC_NAME } from "../topics/names.ts";
import { confIn, Group, type GroupContext, type ReplicaStart, settlePending } from "./group.ts";
import {
  addReplica,
  fromTheStart,
  KNOWS_NOTHING,
  loadCheckpoint,
  type ReplicaBeginning,
} from "./replica-files.ts";

const topicId = CATALOGUE_TOPIC_ID;

export type CatalogueGroup = Group<CatalogueOutcome, ProposedCatalogueCommand, Catalogue>;

/** Makes an empty catalogue. A crash on the way leaves one that is made again. */
export async function createCatalogue(
  context: GroupContext,
  replicaId: number,
  onChanged: () => void,
): Promise<CatalogueGroup> {
  const begins = beginningOf(replicaId);
  const state = new CatalogueState();
  await addReplica(context, { topicId, replicaId }, { begins, state: state.encode() });
  return groupOf(context, { replicaId, onChanged }, state, { ...begins, isUnsaved: false });
}

/**
 * Opens the catalogue at its checkpoint. What the journal has beyond it is not applied yet.
 *
 * @throws STORE_CORRUPT when the checkpoint is lost and the journal does not have everything
 */
export async function openCatalogue(
  context: GroupContext,
  replicaId: number,
  onChanged: () => void,
): Promise<CatalogueGroup> {
  const dir = topicDir(topicId);
  const parts = { replicaId, onChanged };
  await settlePending(context, { dir, replicaId });
  const checkpoint = await loadCheckpoint(context, { topicId, replicaId });
  if (checkpoint !== undefined && checkpoint !== "damaged") {
    const { appliedIndex, appliedTerm } = checkpoint;
    const conf = confIn(checkpoint.confState);
    const start = { appliedIndex, appliedTerm, conf, isUnsaved: false };
    return groupOf(context, parts, decode(checkpoint.state), start);
  }
  const firstIndex = context.journal.firstIndex(replicaId);
  const begins = beginningOf(replicaId);
  if (firstIndex !== begins.appliedIndex + 1) throw lost(dir, firstIndex);
  context.logger.warn("The catalogue's checkpoint is lost; the journal has all of it", { dir });
  return groupOf(context, parts, new CatalogueState(), { ...begins, isUnsaved: true });
}

/** The founder's replica begins with the cluster, every other one later. */
function beginningOf(replicaId: number): ReplicaBeginning {
  return replicaId === CATALOGUE_REPLICA_ID ? fromTheStart([replicaId], []) : KNOWS_NOTHING;
}

function groupOf(
  context: GroupContext,
  { replicaId, onChanged }: { readonly replicaId: number; readonly onChanged: () => void },
  state: CatalogueState,
  start: ReplicaStart,
): CatalogueGroup {
  const machine = new Catalogue(state, onChanged);
  return new Group({
    ...{ context, topicId, replicaId, dir: topicDir(topicId), machine },
    ...start,
    // What was acknowledged about topics and servers is soon known wherever it is asked for.
    tellsCommitAtOnce: true,
  });
}

function decode(bytes: Uint8Array): CatalogueState {
  try {
    return CatalogueState.decode(bytes);
  } catch (cause) {
    if (!(cause instanceof MalformedBytesError)) throw cause;
    throw new ProglogError(
      "DATA_DIR_INVALID",
      `Cannot read the catalogue: ${cause.message}, wanted one that this program wrote`,
      { cause },
    );
  }
}

function lost(dir: string, firstIndex: number): ProglogError {
  return new ProglogError(
    "STORE_CORRUPT",
    `Cannot open the catalogue: "${dir}/checkpoint" is lost or damaged, and the journal begins at entry ${firstIndex}. ` +
      "The topics' folders are whole; restore this file from a backup, or import them",
    { metadata: { topic: CLUSTER_TOPIC_NAME, offset: "0", file: `${dir}/checkpoint` } },
  );
}
