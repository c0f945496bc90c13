import type { ErrorMetadata } from "../base/errors.ts";
import type { Reason } from "../base/reasons.ts";
import type { CatalogueEntry } from "./catalogue-topics.ts";
import type { GroupPlacement } from "./group-placement.ts";
import type { Member } from "./members.ts";
import type { Refusal } from "./topic-state.ts";

export type CatalogueOutcome =
  | { readonly kind: "founded"; readonly member: Member }
  /** `isNew` false: it was a member, and has said where it is now. */
  | { readonly kind: "serverAdded"; readonly member: Member; readonly isNew: boolean }
  | { readonly kind: "serverUpdated"; readonly member: Member }
  | { readonly kind: "serverRemoved" }
  | { readonly kind: "created"; readonly entry: CatalogueEntry }
  /** As it was. */
  | { readonly kind: "deleted"; readonly entry: CatalogueEntry }
  | { readonly kind: "targeted" }
  | { readonly kind: "placed"; readonly group: GroupPlacement }
  | { readonly kind: "left" }
  | Refusal;

export function refuse(reason: Reason, metadata: ErrorMetadata): Refusal {
  return { kind: "refused", reason, metadata };
}
