import { MalformedBytesError } from "../base/bytes.ts";
import { ProglogError } from "../base/errors.ts";
import { topicDir } from "../storage/layout.ts";
import { Catalogue } from "../topics/catalogue.ts";
import type { ProposedCatalogueCommand } from "../topics/catalogue-commands.ts";
import { CATALOGUE_REPLICA_ID } from "../topics/catalogue-members.ts";
import type { CatalogueOutcome } from "../topics/catalogue-outcomes.ts";
import { CATALOGUE_TOPIC_ID, CatalogueState } from "../topics/catalogue-state.ts";
import { CLUSTER_TOPIC_NAME } from "../topics/names.ts";
import { Group, type GroupContext } from "./group.ts";
import { addReplica, FIRST_INDEX, FIRST_TERM, loadCheckpoint } from "./replica-files.ts";

export type CatalogueGroup = Group<CatalogueOutcome, ProposedCatalogueCommand, Catalogue>;

const PLACE = { topicId: CATALOGUE_TOPIC_ID, replicaId: CATALOGUE_REPLICA_ID };

/** Makes an empty catalogue. A crash on the way leaves one that is made again. */
export async function createCatalogue(context: GroupContext): Promise<CatalogueGroup> {
  await addReplica(context, PLACE, new CatalogueState().encode());
  return groupOf(context, new CatalogueState(), FIRST_INDEX, false);
}

/**
 * Opens the catalogue at its checkpoint. What the journal has beyond it is not applied yet.
 *
 * @throws STORE_CORRUPT when the checkpoint is lost and the journal does not have everything
 */
export async function openCatalogue(context: GroupContext): Promise<CatalogueGroup> {
  const dir = topicDir(CATALOGUE_TOPIC_ID);
  const checkpoint = await loadCheckpoint(context, PLACE);
  if (checkpoint !== undefined && checkpoint !== "damaged") {
    const state = decode(checkpoint.state);
    return groupOf(context, state, checkpoint.appliedIndex, false);
  }
  const firstIndex = context.journal.firstIndex(CATALOGUE_REPLICA_ID);
  if (firstIndex !== FIRST_INDEX + 1) throw lost(dir, firstIndex);
  context.logger.warn("The catalogue's checkpoint is lost; the journal has all of it", { dir });
  return groupOf(context, new CatalogueState(), FIRST_INDEX, true);
}

function groupOf(
  context: GroupContext,
  state: CatalogueState,
  appliedIndex: number,
  isUnsaved: boolean,
): CatalogueGroup {
  return new Group({
    context,
    ...PLACE,
    dir: topicDir(CATALOGUE_TOPIC_ID),
    machine: new Catalogue(state),
    appliedIndex,
    appliedTerm: FIRST_TERM,
    isUnsaved,
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
